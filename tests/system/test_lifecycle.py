"""create, start, state, kill, delete: what the runtime specification asks of each, in each status."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from . import host
from .conftest import Bundle
from .runtime import Runtime


def test_a_life(bundle: Bundle) -> None:
    """A container is created, then running, then stopped, and `state` says so each time."""
    box = bundle().sh("echo started; sleep 1000")

    assert box.create().ok
    assert box.status == "created"
    assert box.printed == ""
    assert box.start().ok
    assert box.status == "running"
    box.wait_for("started")
    assert box.kill("KILL").ok
    box.wait("stopped")
    assert box.delete().ok
    assert not box.runtime("state", box.id).ok


def test_state_fields(bundle: Bundle) -> None:
    """`state` shows every field of the specification, with the pid of a process that exists."""
    box = bundle().sh("sleep 1000")
    box.config["annotations"] = {"org.example.key": 'a "quoted" value\n\u00e9'}
    assert box.create().ok

    state = box.state()

    assert state["id"] == box.id
    assert state["bundle"] == str(box.folder)
    assert state["annotations"] == box.config["annotations"]
    assert re.fullmatch(r"1\.\d+\.\d+([-+].*)?", state["ociVersion"])
    assert host.alive(state["pid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)", state["created"])


@pytest.mark.unlike("crun", "keeps a pid")
def test_state_of_stopped_has_pid_0(bundle: Bundle) -> None:
    """A stopped container has no pid."""
    box = bundle("true")
    assert box.run_detached().ok
    box.wait("stopped")

    assert box.state()["pid"] == 0


def test_config_snapshot(bundle: Bundle) -> None:
    """Edits of config.json after create have no effect."""
    box = bundle().sh("echo before")
    assert box.create().ok
    box.sh("echo after")
    box.config["linux"]["cgroupsPath"] = "/elsewhere"
    box.write()

    assert box.start().ok
    box.wait("stopped")

    assert box.printed == "before\n"
    assert box.delete().ok


@pytest.mark.unlike("runc", "exec reads the bundle again")
def test_config_gone(bundle: Bundle) -> None:
    """A container lives and is deleted without its config.json."""
    box = bundle().sh("echo here; sleep 1000")
    assert box.create().ok
    (box.folder / "config.json").unlink()

    assert box.start().ok
    box.wait_for("here")
    assert box.exec("true").ok
    assert box.delete("--force").ok


def test_start_twice(bundle: Bundle) -> None:
    """Starting a running container is an error and disturbs nothing."""
    box = bundle().up()

    again = box.start()

    assert again.status == 1
    if box.runtime.kind != "crun":
        assert "cannot start an already running container" in again.err
    assert box.status == "running"


def test_start_stopped(bundle: Bundle) -> None:
    """Starting a stopped container is an error."""
    box = bundle("true")
    assert box.run_detached().ok
    box.wait("stopped")

    again = box.start()

    assert again.status == 1
    if box.runtime.kind != "crun":
        assert "cannot start a container that has stopped" in again.err
    assert box.status == "stopped"


@pytest.mark.parametrize(
    "words", [("start",), ("state",), ("kill",), ("delete",), ("exec", "true"), ("pause",), ("resume",), ("ps",)]
)
def test_unknown_id(runtime: Runtime, words: tuple[str, ...]) -> None:
    """Every command on an id that does not exist is an error that says so."""
    result = runtime(words[0], "nobody-knows", *words[1:])

    assert result.status == 255 if words[0] == "exec" and runtime.kind != "crun" else result.status != 0
    assert "does not exist" in result.err or "error opening file" in result.err or "No such file" in result.err
    if runtime.kind != "crun":
        assert "container does not exist" in result.err


def test_id_in_use(bundle: Bundle) -> None:
    """A second container with the same id is refused, and the first lives on."""
    box = bundle().up("echo one; sleep 1000")
    pid = box.pid
    box.sh("echo two")

    second = box.create()

    assert second.status == 1
    assert "exist" in second.err
    if box.runtime.kind != "crun":
        assert "container with given ID already exists" in second.err
    assert box.pid == pid
    assert box.exec("true").ok
    assert box.printed == "one\n"


@pytest.mark.parametrize("identity", ["", "a/b", "../a", ".", "..", "a b", "a\n"])
def test_bad_id(bundle: Bundle, identity: str) -> None:
    """An id may not be empty, nor hold anything that leaves the state folder."""
    box = bundle("true")
    if box.runtime.kind == "crun" and identity in {"a b", "a\n"}:
        pytest.skip("crun: refuses slashes alone")
    box.id = identity

    result = box.run()

    assert result.status == 1
    if box.runtime.kind != "crun":
        assert ("container id cannot be empty" if identity == "" else "invalid container ID format") in result.err


def test_good_id(bundle: Bundle) -> None:
    """Letters, digits and `_+-.` make an id; afterwards it is free again."""
    box = bundle("true")
    box.id = box.id + "_A+z-0.9"

    assert box.run().ok
    assert box.run().ok


def test_missing_bundle(runtime: Runtime, folder: Path) -> None:
    """A bundle that is not there is an error."""
    result = runtime("create", "--bundle", str(folder / "nowhere"), "nobody")

    assert result.status == 1
    assert "nowhere" in result.err


def test_missing_config(bundle: Bundle) -> None:
    """A bundle without config.json is an error."""
    box = bundle("true")

    result = box.runtime("create", "--bundle", str(box.folder), box.id)

    assert result.status == 1
    assert "config.json" in result.err
    if box.runtime.kind != "crun":
        assert "JSON specification file config.json not found" in result.err


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"ociVersion": 1}', "\xff"])
def test_broken_config(bundle: Bundle, text: str) -> None:
    """What is no configuration is refused."""
    box = bundle("true")
    (box.folder / "config.json").write_bytes(text.encode("latin-1"))

    assert box.runtime("run", "--bundle", str(box.folder), box.id).status == 1


def test_missing_rootfs(bundle: Bundle) -> None:
    """A root.path that is not there is an error."""
    box = bundle("true")
    box.config["root"]["path"] = "nowhere"

    result = box.run()

    assert result.status == 1
    assert "nowhere" in result.err


def test_unknown_members(bundle: Bundle) -> None:
    """Members and annotations that nobody knows are passed over."""
    box = bundle().sh("echo fine")
    box.config["surprise"] = {"a": [1]}
    box.linux["surprise"] = True
    box.process["surprise"] = None
    box.config["annotations"] = {"org.example.unknown": "x"}

    assert box.run().out == "fine\n"


def test_pid_file(bundle: Bundle, tmp_path: Path) -> None:
    """The pid file holds the decimal pid without a newline, and is there when create returns."""
    box = bundle().sh("sleep 1000")

    assert box.create("--pid-file", str(tmp_path / "pid")).ok
    assert (tmp_path / "pid").read_text() == str(box.pid)


@pytest.mark.unlike("crun", "has gone to the bundle by then")
def test_pid_file_of_run(bundle: Bundle, tmp_path: Path) -> None:
    """`run --detach --pid-file` writes it too, relative to the caller's folder."""
    box = bundle().sh("sleep 1000")

    with box.runtime.below("env", "-C", str(tmp_path)):
        assert box.run_detached("--pid-file", "pid").ok

    assert (tmp_path / "pid").read_text() == str(box.pid)


def test_list(bundle: Bundle) -> None:
    """`list` knows every container with id, pid, status and bundle; -q prints the ids alone."""
    one, two = bundle().up(), bundle("true")
    assert two.create().ok

    table = one.runtime("list", "--format", "json")
    rows = {row["id"]: row for row in json.loads(table.out)}

    assert rows[one.id]["status"] == "running"
    assert rows[one.id]["pid"] == one.pid
    assert rows[two.id]["status"] == "created"
    assert rows[two.id]["bundle"] == str(two.folder)
    assert sorted(one.runtime("list", "-q").lines) == sorted([one.id, two.id])
    assert one.runtime("list").lines[0].split()[:4] == (
        ["ID", "PID", "STATUS", "BUNDLE"] if one.runtime.kind != "crun" else ["NAME", "PID", "STATUS", "BUNDLE"]
    )


@pytest.mark.unlike("crun", "prints an empty array")
def test_list_nothing(runtime: Runtime) -> None:
    """With no containers, `list -f json` is null, as engines know it."""
    assert json.loads(runtime("list", "-f", "json").out) is None


def test_ps(bundle: Bundle) -> None:
    """`ps -f json` lists the host pids of all processes."""
    box = bundle().up("sleep 1000 & echo ready; wait")
    box.wait_for("ready")

    pids = json.loads(box.runtime("ps", "--format", "json", box.id).out)

    assert len(pids) == 2
    assert box.pid in pids
    assert all(host.alive(pid) for pid in pids)


@pytest.mark.unlike("crun", "prints an empty array")
def test_ps_of_stopped(bundle: Bundle) -> None:
    """`ps -f json` of a container that has ended is null, as engines know it."""
    box = bundle().up("true")
    box.wait()

    assert json.loads(box.runtime("ps", "--format", "json", box.id).out) is None


@pytest.mark.only("pyrunc")
def test_created_holds_no_handle_of_the_host(bundle: Bundle) -> None:
    """While it waits for its start, init has nothing open but its streams, its root and its sockets: no handle of a
    cgroup or a mount, and nothing that its caller had open."""
    box = bundle("true")
    box.linux["maskedPaths"] = ["/proc/keys", "/proc/acpi"]
    folder = os.open(box.folder, os.O_RDONLY)
    try:
        assert box.create(pass_fds=[folder]).ok
    finally:
        os.close(folder)

    links = Path(f"/proc/{box.pid}/fd").iterdir()
    targets = {os.readlink(link) for link in links if int(link.name) > 2}
    assert {target for target in targets if target != "/" and not target.startswith("socket:")} == set()
