"""What engines read: version, spec, features, log records, usage errors."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from .conftest import Bundle
from .runtime import Runtime


def test_version(runtime: Runtime) -> None:
    """`--version` has the lines that engines read."""
    result = runtime("--version")

    assert result.ok
    assert re.match(r"\w+ version \d+\.\d+", result.out)
    assert re.search(r"^spec: 1\.\d+\.\d+", result.out, re.MULTILINE)
    assert re.search(r"^commit: ", result.out, re.MULTILINE) or runtime.kind == "pyrunc"  # which may not know it
    assert runtime("-v").out == result.out


@pytest.mark.parametrize(
    "words", [("--help",), ("-h",), ("help",), ("run", "--help"), ("checkpoint", "--help"), ("create", "-h")]
)
def test_help(runtime: Runtime, words: tuple[str, ...]) -> None:
    """Help is there at every level."""
    if runtime.kind == "crun" and words[-1] in ("-h", "help"):
        pytest.skip("crun: --help alone")
    result = runtime(*words)

    assert result.ok, result
    assert result.out


def test_spec(runtime: Runtime, tmp_path: Path) -> None:
    """`spec` writes the document that everybody starts from, and never over an existing one."""
    assert runtime("spec", "--bundle", str(tmp_path)).ok
    document = json.loads((tmp_path / "config.json").read_text())
    again = runtime("spec", "--bundle", str(tmp_path))

    assert document["process"]["args"] == ["sh"]
    assert document["process"]["terminal"] is True
    assert document["root"] == {"path": "rootfs", "readonly": True}
    assert {"pid", "network", "ipc", "uts", "mount"} <= {n["type"] for n in document["linux"]["namespaces"]}
    assert [mount["destination"] for mount in document["mounts"]][:2] == ["/proc", "/dev"]
    assert again.status == 1
    if runtime.kind != "crun":
        assert "File config.json exists. Remove it first" in again.err


def test_spec_here(runtime: Runtime, tmp_path: Path) -> None:
    """Without --bundle it is written into the caller's folder."""
    assert runtime("spec", cwd=tmp_path).ok
    assert (tmp_path / "config.json").exists()


@pytest.mark.unlike("crun", "keeps the network namespace")
def test_spec_rootless(runtime: Runtime, tmp_path: Path) -> None:
    """`spec --rootless` has a user namespace with maps, and no network namespace."""
    assert runtime("spec", "--rootless", "--bundle", str(tmp_path)).ok
    document = json.loads((tmp_path / "config.json").read_text())

    kinds = {n["type"] for n in document["linux"]["namespaces"]}
    assert "user" in kinds and "network" not in kinds
    assert document["linux"]["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]


def test_spec_runs(bundle: Bundle) -> None:
    """The document of `spec` runs as it is, but for the terminal and the program."""
    box = bundle()
    assert box.runtime("spec", "--bundle", str(box.folder)).ok
    box.config = json.loads((box.folder / "config.json").read_text())
    box.process["terminal"] = False
    box.linux["cgroupsPath"] = f"/{box.id}"

    assert box.output_of("touch /x 2>/dev/null || echo read-only; hostname; id -u").split()[0] == "read-only"


def test_features(runtime: Runtime) -> None:
    """`features` is one JSON document with what the specification asks."""
    result = runtime("features")
    document = json.loads(result.out)

    assert result.err == ""
    assert document["ociVersionMin"] and document["ociVersionMax"]
    assert {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"} <= set(
        document["hooks"]
    )
    assert {"ro", "rbind", "rprivate", "nosuid"} <= set(document["mountOptions"])
    assert {"mount", "network", "pid", "user", "uts", "ipc", "cgroup"} <= set(document["linux"]["namespaces"])
    assert "CAP_SYS_ADMIN" in document["linux"]["capabilities"]
    assert "SCMP_ACT_ERRNO" in document["linux"]["seccomp"]["actions"]


@pytest.mark.unlike("crun", "has other words")
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("surprise",), "No help topic for 'surprise'"),
        (("state", "--surprise", "x"), "flag provided but not defined: -surprise"),
        (("run", "--bundle"), "flag needs an argument: -"),
        (("state",), "requires exactly 1 argument"),
        (("--log-format", "xml", "list"), "invalid log-format: xml"),
    ],
)
def test_usage(runtime: Runtime, words: tuple[str, ...], text: str) -> None:
    """A wrong command line is an error with the words that engines look for."""
    result = runtime(*words)

    assert not result.ok
    assert text in (result.out + result.err).replace("argument: --", "argument: -")


@pytest.mark.unlike("crun", "follows getopt")
@pytest.mark.parametrize("flag", [["-bundle", "{}"], ["--bundle={}"], ["-b", "{}"], ["-b={}"]])
def test_flags(bundle: Bundle, flag: list[str]) -> None:
    """One dash is as good as two, and a value follows after a space or an equals sign."""
    box = bundle("echo", "fine")
    box.write()

    result = box.runtime("run", *[word.format(box.folder) for word in flag], "--no-new-keyring=false", box.id)

    assert result.out == "fine\n", result


@pytest.mark.unlike("crun", "follows getopt")
def test_flags_behind(bundle: Bundle) -> None:
    """Flags may stand behind the id."""
    box = bundle().up()

    assert box.runtime("kill", box.id, "KILL").ok
    box.wait("stopped")
    assert box.runtime("delete", box.id, "--force").ok


@pytest.mark.unlike("crun", "writes it over several lines")
def test_log_json(runtime: Runtime, tmp_path: Path) -> None:
    """With --log-format json an error is one record of level, msg and time, alone in the log, and plain on stderr."""
    log = tmp_path / "log"

    result = runtime("--log", str(log), "--log-format", "json", "state", "nobody-knows")

    assert result.status == 1
    lines = log.read_text().splitlines()
    assert len(lines) == 1
    record = json.loads(lines[0])
    assert {"level", "msg", "time"} <= set(record)
    assert record["level"] == "error"
    assert "container does not exist" in record["msg"]
    assert datetime.fromisoformat(record["time"]).tzinfo is not None
    assert "container does not exist" in result.err


@pytest.mark.unlike("crun", "writes plain text")
def test_log_text(runtime: Runtime, tmp_path: Path) -> None:
    """Without --log-format it is a text record; a log file is appended to."""
    log = tmp_path / "log"
    log.write_text("before\n")

    runtime("--log", str(log), "state", "nobody-knows")
    alone = runtime("state", "nobody-knows")

    assert re.fullmatch(r'before\ntime="[^"]+" level=error msg="container does not exist"\n', log.read_text())
    assert re.fullmatch(r'time="[^"]+" level=error msg="container does not exist"\n', alone.err)


def test_silent_on_success(bundle: Bundle, tmp_path: Path) -> None:
    """A life without errors writes nothing of the runtime's: not to stdout, not to stderr, not to the log."""
    box = bundle().sh("sleep 1000")
    log = tmp_path / "log"
    box.write()
    flags = ("--log", str(log), "--log-format", "json")

    created = box.runtime.with_files(
        *flags, "create", "--bundle", str(box.folder), box.id, output=box.output, errors=box.errors
    )
    rest = [box.runtime(*flags, *words) for words in (("start", box.id), ("kill", box.id, "KILL"))]
    box.wait("stopped")
    rest.append(box.runtime(*flags, "delete", box.id))

    assert all(result.ok for result in [created, *rest])
    assert box.printed + created.err + "".join(result.out + result.err for result in rest) == ""
    assert not log.exists() or log.read_text() == ""


@pytest.mark.parametrize("command", [["run"], ["create"]])
def test_prefix_of_errors(bundle: Bundle, command: list[str]) -> None:
    """A container that cannot be made says which command failed, in the usual words."""
    box = bundle("/nothing")
    box.write()

    result = box.runtime(*command, "--bundle", str(box.folder), box.id)

    assert result.status == 1
    if box.runtime.kind != "crun":
        assert f"runc {command[0]} failed: unable to start container process: " in result.err


def test_root_folder(bundle: Bundle, tmp_path: Path) -> None:
    """Containers below one --root are unknown below another."""
    box = bundle().up()

    other = Runtime(shlex.join(box.runtime.command), tmp_path / "other")

    assert not other("state", box.id).ok
    assert box.status == "running"


def test_private_state(bundle: Bundle) -> None:
    """Nobody but the owner can look into the state of a container."""
    box = bundle().up()

    mode = (box.runtime.state / box.id).stat().st_mode

    assert mode & 0o066 == 0
    assert mode & 0o077 == 0 or box.runtime.kind != "pyrunc"


@pytest.mark.only("pyrunc")
@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="there is a systemd")
def test_systemd_cgroup_is_not_passed_over(bundle: Bundle) -> None:
    """A cgroup that systemd was to make is not made in another way without a word."""
    box = bundle("true")
    del box.linux["cgroupsPath"]  # a path of another form would be what is complained of
    box.write()

    result = subprocess.run(
        [*box.runtime.command, "--systemd-cgroup", "run", "--bundle", str(box.folder), box.id],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert result.returncode == 1
    assert "systemd not running on this host, cannot use systemd cgroups manager" in result.stderr
    assert not (box.runtime.state / box.id).exists()


@pytest.mark.only("pyrunc")
def test_no_cgroup_manager(bundle: Bundle) -> None:
    """--cgroup-manager=disabled leaves the container in its caller's cgroups, and refuses limits."""
    box = bundle("cat", "/proc/self/cgroup")
    box.config["linux"].pop("cgroupsPath", None)
    box.config["linux"]["namespaces"] = [n for n in box.config["linux"]["namespaces"] if n["type"] != "cgroup"]
    box.config["linux"]["resources"] = {}
    box.write()
    command = [*box.runtime.command, "--root", str(box.runtime.state), "--cgroup-manager", "disabled", "run"]

    plain = subprocess.run([*command, "-b", str(box.folder), box.id], capture_output=True, text=True, timeout=60)
    box.config["linux"]["resources"] = {"pids": {"limit": 5}}
    box.write()
    limited = subprocess.run([*command, "-b", str(box.folder), box.id], capture_output=True, text=True, timeout=60)

    assert plain.stdout == Path("/proc/self/cgroup").read_text(), plain.stderr
    assert limited.returncode == 1
    assert "there is no cgroup to keep limits" in limited.stderr


@pytest.mark.only("pyrunc")
def test_unknown_cgroup_manager(bundle: Bundle) -> None:
    """A manager that there is not is refused by name."""
    result = bundle("true").runtime("--cgroup-manager", "magic", "list")

    assert result.status == 1
    assert "invalid value for --cgroup-manager: magic" in result.err


@pytest.mark.only("pyrunc")
@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("process", {"scheduler": {"policy": "SCHED_ISO"}}),
        ("process", {"apparmorProfile": "surprise"}),
        ("process", {"selinuxLabel": "a:b:c:d"}),
        ("linux", {"timeOffsets": {"monotonic": {"secs": 1}}}),
        ("linux", {"intelRdt": {"closID": "x", "l3CacheSchema": "L3:0=f"}}),
        ("linux", {"netDevices": {"surprise0": {}}}),
        ("linux", {"memoryPolicy": {"mode": "MPOL_SURPRISE"}}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_nothing_is_passed_over(bundle: Bundle, section: str, values: dict[str, object]) -> None:
    """What this machine or this release cannot give is an error that names the property, never a silent skip."""
    box = bundle("true")
    box.config[section] |= values

    result = box.run()

    assert result.status == 1
    assert next(iter(values)) in result.err


@pytest.mark.only("pyrunc")
def test_debug_steps(bundle: Bundle, tmp_path: Path) -> None:
    """--debug logs each step of both sides, in order, and the container's streams stay its own."""
    box = bundle("echo", "hello")
    box.write()
    log = tmp_path / "log"

    result = box.runtime("--debug", "--log", str(log), "run", "--bundle", str(box.folder), box.id)

    assert (result.status, result.out, result.err) == (0, "hello\n", "")
    steps = re.findall(r'level=debug msg="(host|init): (.*)"', log.read_text())
    assert steps[0] == ("host", "write the state record")
    words = [words for _, words in steps]
    assert words.index("start the launcher from a sealed memfd") < words.index("pivot into the root file system")
    assert steps[-1][0] == "init" and steps[-1][1].startswith("run echo hello")
