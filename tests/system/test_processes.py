"""Who is whose parent, what stays in memory, and what a signal to the command does: the life of the command itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import host
from .box import Box, eventually
from .conftest import Bundle


def test_created_init_is_ours(bundle: Bundle) -> None:
    """After create no process of the runtime is left, and init has come to the subreaper, which can wait for it."""
    box = bundle().sh("exit 7")
    assert box.create().ok
    pid = box.pid

    assert host.descendants(os.getpid()) == [pid]
    assert box.start().ok
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_detached_init_is_ours(bundle: Bundle) -> None:
    """The same after `run --detach`."""
    box = bundle().up("sleep 1000")
    host.reap()

    assert host.descendants(os.getpid()) == [box.pid]


@contextmanager
def foreground(box: Box, script: str) -> Iterator[subprocess.Popen[str]]:
    """A foreground run that has said `ready`. Its end is waited for."""
    box.sh(script).write()
    with box.output.open("w") as out:
        process = box.runtime.spawn("run", "--bundle", str(box.folder), box.id, stdout=out, stderr=out)
    box.wait_for("ready")
    try:
        yield process
    finally:
        if process.poll() is None:
            box.kill("KILL")
            process.wait(10)


def test_foreground_init_is_a_child(bundle: Bundle) -> None:
    """In a foreground run init is a child of the command that the caller started."""
    box = bundle()

    with foreground(box, "echo ready; sleep 1000") as process:
        assert host.parent(box.pid) == process.pid


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT]
)
def test_signals_are_handed_on(bundle: Bundle, number: signal.Signals) -> None:
    """A signal to a foreground run reaches the container's process, whose exit code is the command's."""
    box = bundle()

    with foreground(
        box, f"trap 'echo caught; exit 9' {number.name[3:]}; echo ready; while :; do usleep 10000; done"
    ) as process:
        process.send_signal(number)

        assert process.wait(10) == 9
    assert "caught" in box.printed


def test_exec_signals_are_handed_on(bundle: Bundle) -> None:
    """A signal to a foreground exec reaches its process."""
    box = bundle().up()
    script = "trap 'exit 9' TERM; echo ready; while :; do usleep 10000; done"
    process = box.runtime.spawn("exec", box.id, "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 9
    process.communicate()


def test_killed_in_foreground(bundle: Bundle) -> None:
    """`kill` from elsewhere ends a foreground run with 128 + N, and it takes its container away."""
    box = bundle()

    with foreground(box, "echo ready; sleep 1000") as process:
        assert box.kill("KILL").ok
        assert process.wait(10) == 137

    assert eventually(lambda: not box.runtime("state", box.id).ok)


def test_orphans_are_reaped(bundle: Bundle) -> None:
    """A foreground run ends although a process of the container's outlived its parent."""
    box = bundle()

    assert box.sh("(sleep 0.1 &); echo fine").run().out == "fine\n"


@pytest.mark.unlike("crun", "has no such flag")
def test_keep(bundle: Bundle) -> None:
    """`run --keep` leaves the stopped container, to be deleted by name."""
    box = bundle("true")

    assert box.run("--keep").ok
    assert box.status == "stopped"
    assert box.delete().ok


def test_killed_command(bundle: Bundle) -> None:
    """A foreground run that was killed leaves a container that can still be deleted by force."""
    box = bundle()

    with foreground(box, "echo ready; sleep 1000") as process:
        process.kill()
        process.wait(10)

    assert box.delete("--force").ok


def proportional_kilobytes(pid: int) -> int:
    """The proportional set size: memory that several processes share counts for each in part."""
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(rows["Pss"].split()[0])


def runtime_processes(command: int, init: int) -> list[int]:
    inside = {init, *host.descendants(init)}
    return [pid for pid in [command, *host.descendants(command)] if pid not in inside]


@pytest.mark.only("pyrunc")
def test_memory_of_a_foreground_run(bundle: Bundle) -> None:
    """What waits for a foreground container takes at most 3 MB, the whole tree of it."""
    box = bundle()

    with foreground(box, "echo ready; sleep 1000") as process:
        time.sleep(0.3)  # the command becomes its small waiter once all is up
        pids = runtime_processes(process.pid, box.pid)
        used = sum(map(proportional_kilobytes, pids))

        assert used <= 3072, {pid: (host.command_line(pid), proportional_kilobytes(pid)) for pid in pids}


@pytest.mark.only("pyrunc")
def test_memory_of_a_foreground_exec(bundle: Bundle) -> None:
    """What waits for a foreground exec takes at most 3 MB too."""
    box = bundle().up()
    process = box.runtime.spawn("exec", box.id, "sh", "-c", "echo ready; exec sleep 1000")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)

    pids = [process.pid, *[pid for pid in host.descendants(process.pid) if "sleep" not in host.command_line(pid)]]
    used = sum(map(proportional_kilobytes, pids))
    box.kill("KILL")
    process.communicate(timeout=10)

    assert used <= 3072, used


@pytest.mark.only("pyrunc", "crun")
def test_nobody_waits_for_a_detached_container(bundle: Bundle) -> None:
    """A container in the background costs no process of the runtime's, from create on."""
    box = bundle().sh("sleep 1000")

    assert box.create().ok
    assert host.descendants(os.getpid()) == [box.pid]
    assert box.start().ok
    assert host.descendants(os.getpid()) == [box.pid]


def test_background_of_a_shell(bundle: Bundle) -> None:
    """Two containers at the same time do not disturb each other."""
    first, second = bundle(), bundle()

    with foreground(first, "echo ready; sleep 1000"), foreground(second, "echo ready; sleep 1000") as process:
        assert second.kill("KILL").ok
        assert process.wait(10) == 137
        assert first.status == "running"


def test_many_at_once(bundle: Bundle) -> None:
    """Ten creates at the same time make ten containers."""
    boxes = [bundle("true") for _ in range(10)]
    for box in boxes:
        box.write()

    processes = [box.runtime.spawn("run", "--bundle", str(box.folder), box.id) for box in boxes]

    assert [(process.communicate(timeout=20), process.returncode)[1] for process in processes] == [0] * 10


def test_one_id_at_once(bundle: Bundle) -> None:
    """Of several creates with one id at the same time exactly one succeeds."""
    box = bundle().sh("sleep 1000")
    box.write()
    with box.output.open("w") as out:
        processes = [
            box.runtime.spawn("create", "--bundle", str(box.folder), box.id, stdout=out, stderr=out) for _ in range(5)
        ]

    codes = sorted(process.wait(20) for process in processes)

    assert codes.count(0) == 1, box.printed
    assert box.status == "created"


@pytest.mark.unlike("runc", "gives the container a pipe")
@pytest.mark.parametrize("fd", [0, 1, 2])
def test_closed_stream(bundle: Bundle, fd: int) -> None:
    """A stream that the caller has closed is /dev/null in the container, no file of the runtime's."""
    box = bundle().sh(f"echo $(readlink /proc/$$/fd/{fd}) >&{1 if fd == 2 else 2}")
    with box.runtime.below("sh", "-c", f'exec "$@" {fd}<&-', "sh"):
        result = box.run()

    assert result.ok, result
    assert (result.out if fd == 2 else result.err).strip() == "/dev/null"


def test_closed_streams_of_update(bundle: Bundle) -> None:
    """Commands that change a container do so without any stream."""
    box = bundle().up()
    with box.runtime.below("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"):
        result = box.runtime("update", "--pids-limit", "100", box.id)

    assert result.ok, result
