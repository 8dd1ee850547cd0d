"""How containers end: signals, kill, pause, delete, in each status."""

from __future__ import annotations

import os
import signal

import pytest

from . import host
from .box import eventually
from .conftest import Bundle
from .runtime import Runtime


def test_delete_force_unknown_id(runtime: Runtime) -> None:
    """`delete --force` of what is not there succeeds."""
    assert runtime("delete", "--force", "nobody-knows").ok


def test_delete_running(bundle: Bundle) -> None:
    """A running container is not deleted without --force, and lives on."""
    box = bundle().up()

    result = box.delete()

    assert result.status == 1
    if box.runtime.kind != "crun":
        assert f"cannot delete container {box.id} that is not stopped: running" in result.err
    assert box.status == "running"
    assert box.exec("true").ok


def test_delete_force(bundle: Bundle) -> None:
    """`delete --force` ends a running container and takes it away."""
    box = bundle().up()
    pid = box.pid

    assert box.delete("--force").ok
    assert not host.alive(pid)
    assert not box.runtime("state", box.id).ok
    assert host.cgroup_folders(box.id) == []


@pytest.mark.unlike("crun", "asks for --force")
def test_delete_created(bundle: Bundle) -> None:
    """A container that was never started can be deleted, and its process ends."""
    box = bundle("true")
    assert box.create().ok
    pid = box.pid

    assert box.delete().ok
    assert not host.alive(pid)


def test_delete_force_created(bundle: Bundle) -> None:
    """`delete --force` also takes away a container that was never started."""
    box = bundle("true")
    assert box.create().ok

    assert box.delete("--force").ok
    assert not box.runtime("state", box.id).ok


def test_kill_default_is_term(bundle: Bundle) -> None:
    """`kill` without a signal sends SIGTERM."""
    box = bundle().up('trap "echo term; exit" TERM; echo ready; while :; do usleep 10000; done')
    box.wait_for("ready")

    assert box.kill().ok
    box.wait_for("term")
    box.wait("stopped")


@pytest.mark.parametrize("name", ["USR1", "SIGUSR1", "10", "usr1"])
def test_kill_names(bundle: Bundle, name: str) -> None:
    """A signal is named with or without SIG, in any case, or by its number."""
    box = bundle().up('trap "echo usr1" USR1; echo ready; while :; do usleep 10000; done')
    box.wait_for("ready")
    if box.runtime.kind == "crun" and name == "usr1":
        pytest.skip("crun: capitals alone")

    assert box.kill(name).ok
    box.wait_for("usr1")


def test_kill_bad_signal(bundle: Bundle) -> None:
    """A signal that does not exist is an error without effect."""
    box = bundle().up()

    result = box.kill("SIGNOTHING")

    assert result.status == 1
    assert "SIGNOTHING" in result.err
    assert box.status == "running"


def test_kill_stopped(bundle: Bundle) -> None:
    """`kill` of a stopped container is an error and changes nothing."""
    box = bundle("true")
    assert box.run_detached().ok
    box.wait("stopped")
    before = box.state()

    result = box.kill("KILL")

    assert result.status == 1
    if box.runtime.kind != "crun":
        assert "container not running" in result.err
    assert box.state() == before


def test_kill_created(bundle: Bundle) -> None:
    """A created container can be killed; it is stopped then and cannot be started."""
    box = bundle().sh("echo never")
    assert box.create().ok

    assert box.kill("KILL").ok
    box.wait("stopped")
    assert not box.start().ok
    assert box.printed == ""


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM"])
@pytest.mark.unlike("crun", "its init ignores them, as the first process of its namespace")
def test_signal_ends_created(bundle: Bundle, name: str) -> None:
    """Signals that end a program end a container that was not started yet."""
    box = bundle().sh("echo never")
    assert box.create().ok

    assert box.kill(name).ok
    box.wait("stopped")
    assert box.printed == ""


def test_init_killed_from_outside(bundle: Bundle) -> None:
    """A container whose process was killed behind the runtime's back is stopped and can be deleted."""
    box = bundle().up()
    os.kill(box.pid, signal.SIGKILL)

    box.wait("stopped")
    assert box.delete().ok


def test_kill_reaches_all_with_shared_pids(bundle: Bundle) -> None:
    """Without a pid namespace of its own, SIGKILL ends every process of the container, not the first alone."""
    box = bundle()
    box.without_namespace("pid")
    box.up("sleep 1001 & sleep 1002 & echo ready; wait")
    box.wait_for("ready")

    assert box.kill("KILL").ok
    box.wait("stopped")
    assert box.delete().ok


def test_kill_reaches_leftovers_with_shared_pids(bundle: Bundle) -> None:
    """Without a pid namespace, SIGKILL ends what a first process that has ended left behind."""
    box = bundle()
    box.without_namespace("pid")
    box.up("sleep 1000 & echo child $!; exec sleep 1001")
    box.wait_for("child")
    child = int(box.printed.split()[1])
    os.kill(box.pid, signal.SIGKILL)
    box.wait("stopped")
    assert host.alive(child)

    assert box.kill("KILL").ok

    assert eventually(lambda: not host.alive(child))


def test_delete_force_ends_leftovers_with_shared_pids(bundle: Bundle) -> None:
    """Without a pid namespace, processes that outlive the first one end with `delete --force`."""
    box = bundle()
    box.without_namespace("pid")
    box.up("sleep 1001 & echo ready")
    box.wait("stopped")

    assert box.delete("--force").ok


def test_pause_and_resume(bundle: Bundle) -> None:
    """A paused container stands still, refuses exec, and goes on when resumed."""
    box = bundle().up()

    assert box.runtime("pause", box.id).ok
    assert box.status == "paused"
    if box.runtime.kind != "crun":
        refused = box.exec("true")
        assert refused.status == 255
        assert "cannot exec in a paused container (use --ignore-paused to override)" in refused.err
    assert box.runtime("resume", box.id).ok
    assert box.status == "running"
    assert box.exec("true").ok
    assert box.runtime.kind == "crun" or not box.runtime("resume", box.id).ok


@pytest.mark.unlike("crun", "leaves it paused")
def test_kill_paused(bundle: Bundle) -> None:
    """SIGKILL ends a paused container too."""
    box = bundle().up()
    assert box.runtime("pause", box.id).ok

    assert box.kill("KILL").ok
    box.wait("stopped")
    assert box.delete().ok


def test_delete_force_paused(bundle: Bundle) -> None:
    """`delete --force` takes away a paused container."""
    box = bundle().up()
    assert box.runtime("pause", box.id).ok

    assert box.delete("--force").ok


@pytest.mark.unlike("crun", "its first process does not hear of them")
@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_asked_to_end_before_the_start(bundle: Bundle, name: str) -> None:
    """A container that has not been started ends when it is asked to, although it is the first of its PID namespace."""
    box = bundle("true")
    assert box.create().ok

    assert box.kill(name).ok

    box.wait("stopped")
    assert not box.start().ok
    assert box.delete().ok


def test_other_signals_before_the_start(bundle: Bundle) -> None:
    """Others do not end it, and what is blocked while it waits is not blocked for its program."""
    box = bundle("grep", "SigBlk", "/proc/self/status")
    assert box.create().ok
    assert box.kill("WINCH").ok

    assert box.start().ok

    box.wait("stopped")
    assert box.printed.split() == ["SigBlk:", "0" * 16]
