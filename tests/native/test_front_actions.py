"""The front: `kill`, `delete` and `start`; what it does, and that it does nothing where Python is needed."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.native.conftest import FAIL, GO, MISSING, Box, Front, freezer, start_time


def fail(index: int, number: int, detail: int, text: bytes = b"") -> bytes:
    return struct.pack("<IIqq", FAIL, index, number, detail) + text


# -- kill -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "number"),
    [
        (None, 15),
        ("9", 9),
        ("KILL", 9),
        ("SIGKILL", 9),
        ("sigterm", 15),
        ("Usr1", 10),
        ("sigwinch", 28),
        ("34", 34),
        ("64", 64),
    ],
)
def test_kill(front: Front, box: Box, word: str | None, number: int) -> None:
    """Signals have names with and without SIG, in any case, and numbers; SIGTERM is the default."""
    watched = subprocess.Popen(["perl", "-e", "$SIG{WINCH} = sub { exit 28 }; sleep 1000"]) if number == 28 else None
    if watched:
        time.sleep(0.2)
        box.write(pid=str(watched.pid), start=str(start_time(watched.pid)))
    assert front.ok("kill", "box", *([word] if word else [])) == ""
    if watched:
        assert watched.wait(5) == 28
    else:
        assert box.process.wait(5) == -number


def test_kill_reaches_a_created_container(front: Front, box: Box) -> None:
    """A container that has not been started is signalled as well."""
    server = box.listen()
    front.ok("kill", "box", "KILL")
    server.close()

    assert box.process.wait(5) == -9


@pytest.mark.parametrize("word", ["FOO", "SIG", "0", "65", "-1", "9x", "RTMIN+3", ""])
def test_unknown_signals_go_to_python(front: Front, box: Box, word: str) -> None:
    """What is no plain signal is Python's to understand or refuse."""
    assert front.handed_over("kill", "box", word)[-2:] == ["box", word]
    assert box.process.poll() is None


def test_kill_of_a_stopped_container(front: Front, box: Box) -> None:
    """Nobody else gets the signal, and engines know the text."""
    box.stop()

    assert front.error("kill", "box", "KILL") == "container not running"


def test_kill_never_meets_another_process(front: Front, box: Box) -> None:
    """A process that has got the container's pid by chance is left alone."""
    box.write(start="1")
    assert front.error("kill", "box", "KILL") == "container not running"

    assert box.process.poll() is None


def test_kill_with_a_shared_pid_namespace(front: Front, box: Box) -> None:
    """SIGKILL is for all processes then, which is Python's work; other signals are for the first one as ever."""
    box.write(needs="shared-pidns")
    assert front.handed_over("kill", "box", "KILL")
    assert box.process.poll() is None
    front.ok("kill", "box", "TERM")

    assert box.process.wait(5) == -15


def test_kill_of_a_frozen_container(front: Front, box: Box) -> None:
    """Frozen by cgroup v1, a process must be thawed to die: Python's work. By v2 it dies as it is."""
    freezer(box, "FROZEN\n", "v1")
    assert front.handed_over("kill", "box", "KILL")
    assert box.process.poll() is None
    freezer(box, "1\n", "v2")
    front.ok("kill", "box", "KILL")

    assert box.process.wait(5) == -9


# -- delete -----------------------------------------------------------------------------------------------------------


def test_delete_of_a_stopped_container(front: Front, box: Box, tmp_path: Path) -> None:
    """Cgroups in their order, the files and the folder are gone; what is missing already does not matter."""
    (tmp_path / "outer/inner").mkdir(parents=True)
    box.cgroups = [tmp_path / "outer/inner", tmp_path / "outer/missing", tmp_path / "outer"]
    box.write()
    (box.folder / "steps").write_text("")
    box.stop()
    front.ok("delete", "box")

    assert not box.folder.exists()
    assert not (tmp_path / "outer").exists()
    assert front.error("delete", "box") == MISSING


def test_delete_of_a_created_container(front: Front, box: Box) -> None:
    """A container that was never started is ended first."""
    server = box.listen()
    front.ok("delete", "box")
    server.close()

    assert box.process.wait(5) == -9
    assert not box.folder.exists()


def test_delete_refuses_a_running_container(front: Front, box: Box) -> None:
    """Nothing happens to a container that runs."""
    assert front.error("delete", "box") == "cannot delete container box that is not stopped: running"

    assert box.process.poll() is None
    assert box.folder.exists()


def test_delete_refuses_a_paused_container(front: Front, box: Box) -> None:
    """The same for one that is paused; by force it is Python's, because it may have to be thawed."""
    freezer(box, "1\n")
    assert front.error("delete", "box") == "cannot delete container box that is not stopped: paused"

    assert front.handed_over("delete", "--force", "box")
    assert box.process.poll() is None


@pytest.mark.parametrize("flag", ["--force", "-f", "-force", "--f"])
def test_delete_by_force(front: Front, box: Box, flag: str) -> None:
    """By force a running container is killed, and one that is not there is no error."""
    front.ok("delete", flag, "box")
    assert box.process.wait(5) == -9
    assert not box.folder.exists()

    front.ok("delete", "box", flag)


@pytest.mark.parametrize("needs", ["poststop", "systemd", "something-new", "shared-pidns"])
def test_delete_that_is_not_plain(front: Front, box: Box, needs: str) -> None:
    """Hooks, systemd's units, other processes and what we do not know are Python's, before anything is done."""
    box.write(needs=needs)
    assert front.handed_over("delete", "--force", "box")

    assert box.process.poll() is None
    assert (box.folder / "state").exists()


def test_delete_leaves_unknown_files_to_python(front: Front, box: Box) -> None:
    """A file that we do not know means that somebody else is at work."""
    (box.folder / ".state").write_text("")
    box.stop()
    assert front.handed_over("delete", "box")

    assert (box.folder / "config.json").exists()


def test_delete_does_not_interfere_with_create(front: Front, box: Box) -> None:
    """While another command holds the folder's lock the front does nothing."""
    box.stop()
    fd = os.open(box.folder, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert front.handed_over("delete", "box")
    os.close(fd)

    front.ok("delete", "box")


def test_delete_of_a_busy_cgroup(front: Front, box: Box, tmp_path: Path) -> None:
    """Where a cgroup cannot be removed Python goes on, and has the whole record to do so."""
    (tmp_path / "cgroup/sub").mkdir(parents=True)
    box.cgroups = [tmp_path / "cgroup"]
    box.write()
    box.stop()
    assert front.handed_over("delete", "box") == ["--root", front.root, "delete", "box"]

    assert (box.folder / "state").exists()


# -- start ------------------------------------------------------------------------------------------------------------


def test_start(front: Front, box: Box) -> None:
    """start.sock is removed, then init gets GO; the socket's end says that the program runs."""
    server = box.listen()
    front.ok("start", "box")
    server.join()

    assert server.received == struct.pack("<IIqq", GO, 0, 0, 0)
    assert server.unlinked_before_go
    assert json.loads(front.ok("state", "box"))["status"] == "running"


def test_start_below_a_long_path(prefix: Path, box: Box) -> None:
    """A socket's path may be longer than the 107 bytes that an address holds."""
    root = box.root.parent / ("long" * 40)
    box.root.rename(root)
    fd = os.open(root / "box", os.O_PATH)
    box.folder = Path(f"/proc/self/fd/{fd}")
    server = box.listen()
    Front(prefix, root).ok("start", "box")
    server.join()
    os.close(fd)

    assert server.received


def test_failed_start_is_explained_by_python(front: Front, box: Box) -> None:
    """What init says reaches Python behind the global flags, its text byte for byte."""
    server = box.listen(fail(41, 2, 7, b"/bin/nothing: it is\nnot there"))
    result = front("--debug", "start", "box")
    server.join()

    expected = [
        "--root",
        front.root,
        "--debug",
        "--report-start",
        "box",
        "41",
        "2",
        "7",
        "/bin/nothing: it is\nnot there",
    ]
    assert front.arguments_of(result) == expected


def test_start_whose_init_is_killed(front: Front, box: Box) -> None:
    """An init that is gone before it has read GO makes an ordinary start for Python, which finds it stopped."""
    server = box.listen(None)
    result = front("start", "box")
    server.join()

    assert front.arguments_of(result)[-2:] == ["start", "box"]


def test_start_without_a_listener(front: Front, box: Box) -> None:
    """A socket that nobody listens on leaves the container as it was."""
    server = box.listen()
    server.close()
    assert front.handed_over("start", "box")

    assert os.path.lexists(server.path)


def test_start_of_a_running_container(front: Front, box: Box) -> None:
    """runc's text."""
    assert front.error("start", "box") == "cannot start an already running container"


def test_start_of_a_stopped_container(front: Front, box: Box) -> None:
    """runc's text."""
    box.stop()

    assert front.error("start", "box") == "cannot start a container that has stopped"


def test_start_of_a_paused_container(front: Front, box: Box) -> None:
    """runc's text."""
    freezer(box, "1\n")

    assert front.error("start", "box") == "cannot start a container in the paused state"


def test_start_with_poststart_hooks(front: Front, box: Box) -> None:
    """Hooks are Python's: the container is still `created` when Python comes."""
    box.write(needs="poststart")
    server = box.listen()
    assert front.handed_over("start", "box")

    assert os.path.lexists(server.path)


def test_only_one_of_two_starts(front: Front, box: Box) -> None:
    """Of many starts at the same moment exactly one succeeds."""
    server = box.listen()
    commands = [
        subprocess.Popen(
            [front.program, "--root", front.root, "start", "box"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(8)
    ]
    results = [(command.communicate(timeout=20), command.returncode) for command in commands]
    successes = [output for (output, _), code in results if code == 0 and not output.startswith(b"PYTHON")]
    server.join()

    assert len(successes) == 1
    assert not os.path.lexists(server.path)


# -- speed ------------------------------------------------------------------------------------------------------------


def test_state_is_fast(front: Front, box: Box) -> None:
    """The front answers `state` within twice the time of an empty program plus a millisecond."""

    def best(*command: str) -> float:
        times = []
        for _ in range(30):
            began = time.perf_counter()
            pid = os.posix_spawn(
                command[0], command, {}, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
            )
            os.waitpid(pid, 0)
            times.append(time.perf_counter() - began)
        return min(times)

    assert best(front.program, "--root", front.root, "state", "box") < 2 * best("/bin/true") + 0.001
