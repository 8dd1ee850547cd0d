"""The six kinds of hooks: when and where each runs, what it is told, and what its failure does."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from .box import Box, eventually
from .conftest import Bundle

KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def hook(script: str, **fields: object) -> dict[str, object]:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **fields}


def logging_hooks(box: Box, log: Path) -> None:
    """Two hooks of every kind that write their names into one file, which the container sees at /log."""
    log.touch()
    box.bind(log, "/log")
    inside = {"startContainer": "/log"}
    box.config["hooks"] = {
        kind: [hook(f"echo {kind}{number} >> {inside.get(kind, log)}") for number in (1, 2)] for kind in KINDS
    }


def test_order(bundle: Bundle) -> None:
    """Hooks run in the order of their kinds and, within a kind, of the list; the program runs before poststop."""
    box = bundle().sh("echo program >> /log; sleep 1000")
    log = box.folder / "log"
    logging_hooks(box, log)

    assert box.create().ok
    created = log.read_text().split()
    assert box.start().ok
    assert eventually(lambda: "program" in log.read_text())
    assert box.delete("--force").ok
    all_of_them = log.read_text().split()

    names = [f"{kind}{number}" for kind in KINDS for number in (1, 2)]
    assert created[:6] == names[:6]
    assert [name for name in all_of_them if name != "program"] == names or box.runtime.kind != "pyrunc"
    assert all_of_them.index("startContainer2") < all_of_them.index("program") < all_of_them.index("poststop1")


@pytest.mark.unlike("runc", "runs them at the end of create")
@pytest.mark.unlike("crun", "may end by SIGPIPE when a hook does not read its state")
def test_poststart_is_after_start(bundle: Bundle) -> None:
    """poststart hooks belong to start: create runs none, and start returns after them."""
    box = bundle().sh("sleep 1000")
    log = box.folder / "log"
    box.config["hooks"] = {"poststart": [hook(f"echo ran > {log}")]}

    assert box.create().ok
    assert not log.exists()
    assert box.start().ok
    assert log.read_text() == "ran\n"


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("prestart", {"creating", "created"}),
        ("createRuntime", {"creating", "created"}),
        ("createContainer", {"creating", "created"}),
        ("startContainer", {"creating", "created"}),
        ("poststart", {"running", "created"}),
        ("poststop", {"stopped"}),
    ],
)
def test_state_on_stdin(bundle: Bundle, kind: str, statuses: set[str]) -> None:
    """Every hook reads the state from its standard input."""
    box = bundle().sh("sleep 1000")
    log = box.folder / "log"
    log.touch()
    box.bind(log, "/log")
    box.config["annotations"] = {"key": 'quo"ted'}
    box.config["hooks"] = {kind: [hook(f"cat > {'/log' if kind == 'startContainer' else log}")]}

    assert box.run_detached().ok
    pid = box.pid
    assert box.delete("--force").ok
    state: dict[str, Any] = json.loads(log.read_text())

    assert state["id"] == box.id
    assert state["bundle"] == str(box.folder) or (box.runtime.kind, kind) == ("crun", "startContainer")
    assert state["annotations"]["key"] == 'quo"ted'
    assert state["ociVersion"]
    assert state["status"] in statuses | ({"starting"} if box.runtime.kind == "crun" else set())
    if kind in ("prestart", "createRuntime", "poststart"):
        assert state["pid"] == pid


@pytest.mark.parametrize("kind", KINDS)
def test_environment_and_arguments(bundle: Bundle, kind: str) -> None:
    """A hook's arguments are its own, argv[0] included, and its environment is exactly what it lists."""
    box = bundle().sh("sleep 1000")
    box.config["process"]["env"].append("OF_THE_PROCESS=1")
    log = box.folder / "log"
    log.touch()
    box.bind(log, "/log")
    there = "/log" if kind == "startContainer" else str(log)
    script = f'(echo "$0" "$1"; export -p) > {there}'
    box.config["hooks"] = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", script, "name zero", "one"], "env": ["A=b c"]}]
    }

    assert box.run_detached().ok
    assert box.delete("--force").ok

    own = ("export PWD", "export OLDPWD", "export SHLVL", "export PATH")  # the shell's, not the hook's
    lines = [line for line in log.read_text().splitlines() if not line.startswith(own)]
    assert lines == ["name zero one", "export A='b c'"]


@pytest.mark.only("pyrunc")
@pytest.mark.parametrize("kind", ["createRuntime", "createContainer"])
def test_no_environment(bundle: Bundle, kind: str) -> None:
    """Without `env` a hook has an empty environment: nothing of the caller's gets in."""
    box = bundle("true")
    log = box.folder / "log"
    box.config["hooks"] = {kind: [hook(f"export -p > {log}")]}
    box.write()

    assert box.runtime("run", "--bundle", str(box.folder), box.id, env={"SECRET": "caller"}).ok

    assert "SECRET" not in log.read_text()
    assert "export PATH" not in log.read_text()


def test_start_container_inherits(bundle: Bundle) -> None:
    """A startContainer hook without `env` has the environment of the process, HOME included."""
    box = bundle("true")
    box.process["env"] += ["ONE=two"]
    box.config["hooks"] = {"startContainer": [hook('test "$ONE" = two && test "$HOME" = /root')]}

    result = box.run()

    assert result.ok, result


def test_create_container_starts_in_root(bundle: Bundle) -> None:
    """A createContainer hook's working folder is the root to be, so that relative paths are the container's."""
    box = bundle("cat", "/made")
    box.config["hooks"] = {"createContainer": [hook("echo here > ./made")]}

    assert box.run().out == "here\n"


@pytest.mark.parametrize(
    ("kind", "inside", "tree"),
    [
        ("prestart", False, False),
        ("createRuntime", False, False),
        ("createContainer", True, False),
        ("startContainer", True, True),
        ("poststart", False, False),
        ("poststop", False, False),
    ],
)
def test_where(bundle: Bundle, kind: str, inside: bool, tree: bool) -> None:
    """Each kind runs in the namespaces of the runtime or of the container, and its path is looked up there."""
    box = bundle().sh("sleep 1000")
    log = box.folder / "log"
    log.touch()
    box.bind(log, "/log")
    there = "/log" if tree else str(log)
    box.config["hooks"] = {kind: [hook(f"(readlink /proc/self/ns/uts; ls -d {box.folder}) > {there} 2>&1; true")]}
    box.config["hooks"][kind][0]["env"] = ["PATH=/bin:/usr/bin"]

    assert box.run_detached().ok
    container = os.readlink(f"/proc/{box.pid}/ns/uts")
    assert box.delete("--force").ok
    lines = log.read_text().splitlines()

    if kind == "startContainer":
        lines = [line for line in lines if line]
    else:
        assert lines[0] == (container if inside else os.readlink("/proc/self/ns/uts"))
    assert (lines[-1] == str(box.folder)) is not tree


def test_create_runtime_sees_namespaces(bundle: Bundle) -> None:
    """When createRuntime runs, the container's namespaces exist and its root has not moved yet."""
    box = bundle("readlink", "/proc/self/ns/net")
    seen = box.folder / "seen"
    find_pid = "pid=$(tr -d '\\n ' | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')"
    script = f"{find_pid}; readlink /proc/$pid/ns/net > {seen}; test -d /proc/$pid/root/{box.folder}"
    box.config["hooks"] = {"createRuntime": [hook(script, env=["PATH=/bin:/usr/bin"])]}

    assert box.run().out == seen.read_text()


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_failure_in_create(bundle: Bundle, kind: str) -> None:
    """A hook that fails during create fails it: the container is gone, later hooks do not run, poststop does."""
    box = bundle().sh("echo program")
    log = box.folder / "log"
    box.config["hooks"] = {
        kind: [hook("echo reason >&2; exit 3"), hook(f"echo second >> {log}")],
        "poststop": [hook(f"echo poststop >> {log}")],
    }

    result = box.create()

    assert not result.ok
    assert not box.runtime("state", box.id).ok
    assert "second" not in (log.read_text() if log.exists() else "")
    if box.runtime.kind != "crun":
        assert f"error running {kind} hook #0" in result.err
        assert "exit status 3" in result.err
        assert "reason" in result.err
    if box.runtime.kind == "pyrunc":
        assert log.read_text() == "poststop\n"


def test_failure_of_start_container(bundle: Bundle) -> None:
    """A startContainer hook that fails keeps the program from running, and the container is stopped."""
    box = bundle().sh("echo program")
    box.config["hooks"] = {"startContainer": [hook("exit 3")]}
    assert box.create().ok

    result = box.start()
    box.wait("stopped")

    assert "program" not in box.printed
    assert result.status == 1 or box.runtime.kind != "pyrunc"


@pytest.mark.only("pyrunc")
def test_failure_of_poststart(bundle: Bundle) -> None:
    """A poststart hook that fails makes start an error, and the container is gone after poststop."""
    box = bundle().sh("sleep 1000")
    log = box.folder / "log"
    box.config["hooks"] = {"poststart": [hook("exit 3")], "poststop": [hook(f"echo poststop > {log}")]}
    assert box.create().ok

    result = box.start()

    assert result.status == 1
    assert "error running poststart hook #0" in result.err
    assert not box.runtime("state", box.id).ok or box.status == "stopped"


@pytest.mark.unlike("runc", "makes it an error of delete")
def test_failure_of_poststop(bundle: Bundle) -> None:
    """A poststop hook that fails is a warning: the rest of them run, and the container is deleted."""
    box = bundle("true")
    log = box.folder / "log"
    box.config["hooks"] = {"poststop": [hook("exit 3"), hook(f"echo second > {log}")]}
    assert box.run_detached().ok
    box.wait("stopped")

    assert box.delete().ok
    assert log.read_text() == "second\n" or box.runtime.kind == "crun"


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer"])
@pytest.mark.unlike("crun", "waits longer than asked for")
def test_timeout(bundle: Bundle, kind: str) -> None:
    """A hook that takes longer than its timeout is killed, and has failed."""
    box = bundle("true")
    box.config["hooks"] = {kind: [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    start = time.monotonic()

    result = box.create()

    assert result.status == 1
    assert time.monotonic() - start < 4
    assert "hook ran past specified timeout of 1.0s" in result.err


@pytest.mark.only("pyrunc")
@pytest.mark.parametrize("timeout", [0, -1])
def test_bad_timeout(bundle: Bundle, timeout: int) -> None:
    """A timeout has to be more than nothing."""
    box = bundle("true")
    box.config["hooks"] = {"createRuntime": [hook("true", timeout=timeout)]}

    assert box.create().status == 1


def test_missing_hook(bundle: Bundle) -> None:
    """A hook that is not there fails create."""
    box = bundle("true")
    box.config["hooks"] = {"createRuntime": [{"path": "/nowhere"}]}

    result = box.create()

    assert not result.ok
    assert "/nowhere" in result.err


def test_run_has_all_hooks(bundle: Bundle) -> None:
    """A foreground run runs every kind of hook, poststop as the last."""
    box = bundle().sh("echo program >> /log")
    log = box.folder / "log"
    logging_hooks(box, log)

    assert box.run().ok

    found = log.read_text().split()
    assert set(found) == {f"{kind}{number}" for kind in KINDS for number in (1, 2)} | {"program"}
    assert found[-2:] == ["poststop1", "poststop2"]


def test_output_of_hooks(bundle: Bundle) -> None:
    """What hooks print is not the container's output."""
    box = bundle().sh("echo program")
    box.config["hooks"] = {kind: [hook("echo noise")] for kind in KINDS if kind != "startContainer"}

    assert box.run().out == "program\n" or box.runtime.kind == "crun"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "poststart", "poststop"])
@pytest.mark.unlike("runc", "runs poststop hooks where `delete` was called")
@pytest.mark.unlike("crun", "runs those of start and delete where these were called")
def test_works_in_the_bundle(bundle: Bundle, kind: str) -> None:
    """Hooks of the host work in the bundle's folder, and files of it have short names."""
    box = bundle().sh("sleep 1000")
    box.config["hooks"] = {kind: [hook("pwd > told")]}

    assert box.create().ok
    assert box.start().ok
    assert box.delete("--force").ok

    assert (box.folder / "told").read_text() == f"{box.folder}\n"


@pytest.mark.only("pyrunc")
def test_poststop_without_a_bundle(bundle: Bundle) -> None:
    """A bundle that has gone by then keeps no poststop hook from running."""
    box = bundle().sh("sleep 1000")
    told = box.folder.parent / f"{box.id}-told"
    box.config["hooks"] = {"poststop": [hook(f"echo ran > {told}")]}
    assert box.run_detached().ok
    gone = box.folder.rename(box.folder.parent / f"{box.id}-gone")

    assert box.delete("--force").ok

    gone.rename(box.folder)
    assert told.read_text() == "ran\n"
    told.unlink()
