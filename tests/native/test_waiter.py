"""The waiter: exit codes, signals, terminals and the delete at the end, with real processes as its children."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.native.conftest import Box, start_time

ALL_SIGNALS = signal.valid_signals()
SIZE = struct.Struct("HHHH")

# What Python's side of `run` does: signals blocked, a child, then the waiter in its own place.
RUN = """
import os, signal, sys
waiter, terminal, argv, options = eval(sys.argv[1])
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)  # whoever runs the tests in the background has them ignored
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
master = -1
if terminal:
    master, slave = os.openpty()
    if terminal == "no newline translation":
        import termios
        modes = termios.tcgetattr(slave)
        modes[1] &= ~termios.ONLCR
        termios.tcsetattr(slave, termios.TCSANOW, modes)
pid = os.fork()
if pid == 0:
    os.setsid()
    if terminal:
        import fcntl, termios
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.closerange(3, 100)
    os.execvp(argv[0], argv)
if terminal:
    os.close(slave)
    os.set_inheritable(master, True)
    options = ["-t", str(master), *options]
os.execv(waiter, [waiter, "-p", str(pid), *options])
"""


class Run:
    """Starts a command below the waiter."""

    def __init__(self, waiter: str) -> None:
        self.waiter = waiter

    def arguments(self, argv: list[str], options: list[str], terminal: object) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", RUN, repr((self.waiter, terminal, argv, options))]

    def popen(self, *argv: str, options: list[str] | None = None, terminal: object = False, **streams: object):
        return subprocess.Popen(self.arguments(list(argv), options or [], terminal), **streams)  # type: ignore[call-overload]

    def __call__(self, *argv: str, options: list[str] | None = None, terminal: object = False, input: bytes = b""):
        return subprocess.run(
            self.arguments(list(argv), options or [], terminal), input=input, capture_output=True, timeout=60
        )


@pytest.fixture
def run(waiter: str) -> Run:
    return Run(waiter)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def read_until(fd: int, wanted: bytes, seconds: float = 10) -> bytes:
    data, end = b"", time.monotonic() + seconds
    while wanted not in data:
        ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        assert ready, f"{wanted!r} is not in {data!r}"
        data += os.read(fd, 4096)
    return data


# -- exit codes and signals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_code(run: Run, code: int) -> None:
    """The waiter exits as the process does."""
    assert run("sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [9, 15, 6])
def test_killed_by_a_signal(run: Run, number: int) -> None:
    """A signal that ends the process makes 128 and its number."""
    assert run("sh", "-c", f"kill -{number} $$").returncode == 128 + number


def test_a_process_that_has_ended_already(run: Run) -> None:
    """A process that was faster than the waiter is no special case."""
    slow = run.arguments(["sh", "-c", "exit 7"], [], False)
    slow[4] = slow[4].replace("os.execv(", "import time; time.sleep(0.3)\nos.execv(")

    assert subprocess.run(slow).returncode == 7


TRACER = """
import ctypes, os, select, sys, time
pid = int(sys.argv[1])
ended = os.pidfd_open(pid)
assert ctypes.CDLL(None).ptrace(0x4206, pid, None, None) == 0  # PTRACE_SEIZE
print("traced", flush=True)
select.select([ended], [], [])
time.sleep(0.3)
os.waitpid(pid, 0x40000000)  # __WALL
"""


def test_a_traced_process(run: Run) -> None:
    """Somebody who traces the process (strace -f) hears of its end first; the waiter waits for its turn."""
    waiter = run.popen("sh", "-c", "echo $$; exec sleep 100", stdout=subprocess.PIPE)
    pid = int(waiter.stdout.readline())
    tracer = subprocess.Popen([sys.executable, "-c", TRACER, str(pid)], stdout=subprocess.PIPE)
    assert tracer.stdout is not None and tracer.stdout.readline() == b"traced\n"
    os.kill(pid, signal.SIGKILL)

    assert (waiter.wait(10), tracer.wait(10)) == (128 + 9, 0)


def test_not_our_child(waiter: str, box: Box) -> None:
    """A pid that is no child of the waiter ends it with 255 as soon as that process ends."""
    process = subprocess.Popen([waiter, "-p", str(box.process.pid)])
    box.stop()

    assert process.wait(10) == 255


def test_wrong_arguments(waiter: str) -> None:
    """Without a process there is nothing to wait for."""
    assert subprocess.run([waiter], stderr=subprocess.DEVNULL).returncode == 255
    assert subprocess.run([waiter, "-x"], stderr=subprocess.DEVNULL).returncode == 255


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1", "QUIT", "ALRM", "CONT", "TSTP", "RTMIN"])
def test_signals_are_forwarded(run: Run, name: str) -> None:
    """The process gets what the waiter gets, and the waiter survives it."""
    script = f"use POSIX; $SIG{{{name}}} = sub {{ exit 42 }}; $| = 1; print 'ready'; sleep 100 while 1"
    process = run.popen("perl", "-e", script, stdout=subprocess.PIPE)
    read_until(process.stdout.fileno(), b"ready")
    process.send_signal(getattr(signal, f"SIG{name}"))

    assert process.wait(10) == 42


@pytest.mark.parametrize("name", ["PIPE", "URG", "WINCH"])
def test_signals_that_are_the_waiters_own(run: Run, name: str) -> None:
    """SIGPIPE, SIGURG and SIGWINCH are not for the process."""
    script = (
        f"$SIG{{{name}}} = sub {{ exit 42 }}; $SIG{{TERM}} = sub {{ exit 7 }}; $| = 1; print 'ready'; sleep 100 while 1"
    )
    process = run.popen("perl", "-e", script, stdout=subprocess.PIPE)
    read_until(process.stdout.fileno(), b"ready")
    process.send_signal(getattr(signal, f"SIG{name}"))
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 7


def test_an_early_signal_is_not_lost(run: Run) -> None:
    """A signal from before the waiter was ready reaches the process."""
    arguments = run.arguments(["sleep", "100"], [], False)
    arguments[4] = arguments[4].replace("os.execv(", "os.kill(os.getpid(), 15)\nos.execv(")

    assert subprocess.run(arguments, timeout=10).returncode == 128 + 15


def test_orphans_are_reaped(run: Run) -> None:
    """As a subreaper the waiter leaves no zombies behind while it waits."""
    process = run.popen("sh", "-c", "(sleep 0.1 & exec true) & exec sleep 100", options=["-s"])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    time.sleep(0.5)
    assert len(children.read_text().split()) == 1
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def test_orphans_are_not_taken_without_being_asked(run: Run) -> None:
    """Without -s the orphans of the container are not the waiter's."""
    process = run.popen("sh", "-c", "(sleep 5 & exec true) & exec sleep 100")
    time.sleep(0.5)
    assert len(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()) == 1
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def test_no_fd_is_kept(run: Run) -> None:
    """The end of a pipe that only the process was given is seen as soon as the process closes it."""
    reader, writer = os.pipe()
    arguments = run.arguments(["sleep", "100"], [], False)
    process = subprocess.Popen(arguments, pass_fds=[writer])
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], 10)

    assert ready and os.read(reader, 1) == b""
    process.terminate()
    process.wait(10)
    os.close(reader)


def test_memory(run: Run) -> None:
    """A waiting waiter has less than a megabyte of its own."""
    process = run.popen("sleep", "100", terminal=True, stdin=subprocess.DEVNULL)
    wait_until(lambda: Path(f"/proc/{process.pid}/exe").resolve().name == "waiter")
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    pss = int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
    process.terminate()
    process.wait(10)

    assert pss < 1024


# -- terminals --------------------------------------------------------------------------------------------------------


def test_output_of_a_terminal(run: Run) -> None:
    """What the process writes to its terminal, which Python has told to leave newlines alone, comes out as it is."""
    result = run("sh", "-c", "sleep 0.3; tty -s && echo yes; exit 3", terminal="no newline translation")

    assert (result.returncode, result.stdout) == (3, b"yes\n")


@pytest.mark.parametrize("attempt", range(5))
def test_no_output_is_lost_at_the_end(run: Run, attempt: int) -> None:
    """A process that writes much and ends at once has all of it shown, however slowly it is read."""
    count = 20000
    process = run.popen(
        "seq", str(count), terminal="no newline translation", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    data = b""
    while part := os.read(process.stdout.fileno(), 3000):
        data += part
        if attempt % 2:
            time.sleep(0.001)
    assert process.wait(10) == 0

    assert data == b"".join(b"%d\n" % number for number in range(1, count + 1))


def test_input_of_a_terminal(run: Run) -> None:
    """What comes on standard input is typed; its end is typed as well, in the middle of a line too."""
    assert b"got:abc" in run("sh", "-c", "stty -echo; read line; echo got:$line", terminal=True, input=b"abc\n").stdout
    result = run("sh", "-c", "stty -echo; echo; cat", terminal="no newline translation", input=b"one\ntwo")

    assert result.stdout.endswith(b"one\ntwo")
    assert result.returncode == 0


def test_empty_input_ends_a_reader(run: Run) -> None:
    """/dev/null as standard input is an end of file for who reads the terminal."""
    assert run("cat", terminal=True).returncode == 0


KEYS = """
import os, termios, time
time.sleep(0.3)  # the end is typed meanwhile
lines = termios.tcgetattr(0)
keys = termios.tcgetattr(0)
keys[3] &= ~(termios.ICANON | termios.ECHO)
for _ in range(2):
    termios.tcsetattr(0, termios.TCSANOW, keys)
    while os.read(0, 1) != b"\4":
        pass
    termios.tcsetattr(0, termios.TCSANOW, lines)
    time.sleep(0.3)
"""


def test_the_end_is_typed_again_for_a_shell(run: Run) -> None:
    """A program that reads keys, as shells do that edit lines, learns of the end each time it begins to read them."""
    assert run(sys.executable, "-c", KEYS, terminal=True).returncode == 0


def test_much_input(run: Run) -> None:
    """Input is taken at the pace of the process, and none is lost."""
    lines = b"".join(b"%d\n" % number for number in range(20000))
    result = run("sh", "-c", "stty -echo; sleep 0.3; sum", terminal=True, input=lines)
    expected = subprocess.run(["sum"], input=lines, capture_output=True).stdout

    assert expected.strip() in result.stdout


def test_a_reader_that_has_gone(run: Run) -> None:
    """The container runs on when nobody reads its output any more."""
    process = run.popen(
        "sh", "-c", "seq 100000; exit 9", terminal=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    os.read(process.stdout.fileno(), 10)
    process.stdout.close()

    assert process.wait(20) == 9


def test_a_reader_that_sleeps_can_be_given_up(run: Run) -> None:
    """A caller that never reads the rest can still end the waiter by a signal."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    process = run.popen("seq", "5000", terminal=True, stdin=subprocess.DEVNULL, stdout=writer)
    os.close(writer)
    time.sleep(0.5)
    assert process.poll() is None
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    os.close(reader)

    assert process.returncode in (0, 128 + 15)


@pytest.fixture
def screen() -> Iterator[tuple[int, int]]:
    """The caller's own terminal: (what the person sees and types on, what the programs have)."""
    person, programs = pty.openpty()
    fcntl.ioctl(programs, termios.TIOCSWINSZ, SIZE.pack(40, 100, 0, 0))
    yield person, programs
    for fd in (person, programs):
        with contextlib.suppress(OSError):
            os.close(fd)


def on_screen(run: Run, programs: int, *argv: str):
    return run.popen(*argv, terminal=True, stdin=programs, stdout=programs, stderr=programs, start_new_session=True)


def test_raw_mode_and_back(run: Run, screen: tuple[int, int]) -> None:
    """The caller's terminal is raw while the process runs (but a newline returns the carriage), then as before."""
    person, programs = screen
    before = termios.tcgetattr(programs)
    process = on_screen(run, programs, "sh", "-c", "echo ready; read line; exit 5")
    read_until(person, b"ready")
    during = termios.tcgetattr(programs)
    os.write(person, b"\r")

    assert process.wait(10) == 5
    assert not during[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
    assert during[1] & termios.OPOST
    assert termios.tcgetattr(programs) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_terminal_is_given_back_after_a_signal(run: Run, screen: tuple[int, int], number: int) -> None:
    """A signal that ends the process leaves the caller's terminal as it was."""
    person, programs = screen
    before = termios.tcgetattr(programs)
    process = on_screen(run, programs, "sh", "-c", "echo ready; exec sleep 100")
    read_until(person, b"ready")
    process.send_signal(number)

    assert process.wait(10) == 128 + number
    assert termios.tcgetattr(programs) == before


def test_keys_reach_the_process(run: Run, screen: tuple[int, int]) -> None:
    """Control-C is typed to the container and interrupts what runs there."""
    person, programs = screen
    process = on_screen(run, programs, "sh", "-c", "echo ready; exec sleep 100")
    read_until(person, b"ready")
    os.write(person, b"\x03")

    assert process.wait(10) == 128 + signal.SIGINT


def test_window_size(run: Run, screen: tuple[int, int]) -> None:
    """The container's window has the caller's size from the beginning and follows it."""
    person, programs = screen
    process = on_screen(run, programs, "sh", "-c", "while :; do stty size; sleep 0.05; done")
    read_until(person, b"40 100")
    fcntl.ioctl(programs, termios.TIOCSWINSZ, SIZE.pack(25, 81, 0, 0))
    process.send_signal(signal.SIGWINCH)
    read_until(person, b"25 81")
    os.write(person, b"\x03")
    process.wait(10)


# -- delete -----------------------------------------------------------------------------------------------------------


def delete_case(run: Run, box: Box, tmp_path: Path, command: list[str]):
    """Runs a process that is the container of `box`, with a delete at the end."""
    box.stop()
    arguments = run.arguments(["sleep", "0.5"], ["-d", str(box.folder), *(["--", *command] if command else [])], False)
    process = subprocess.Popen(arguments)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: bool(children.read_text().split()))
    pid = int(children.read_text().split()[0])
    box.write(pid=str(pid), start=str(start_time(pid)))
    return process


def test_delete_at_the_end(run: Run, box: Box, tmp_path: Path) -> None:
    """Cgroups and folder are gone when the waiter has exited; the command is not needed."""
    (tmp_path / "cgroup").mkdir()
    box.cgroups = [tmp_path / "cgroup"]
    process = delete_case(run, box, tmp_path, ["touch", str(tmp_path / "called")])

    assert process.wait(10) == 0
    assert not box.folder.exists()
    assert not (tmp_path / "cgroup").exists()
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("needs", ["poststop", "systemd"])
def test_delete_by_the_command(run: Run, box: Box, tmp_path: Path, needs: str) -> None:
    """What is not plain is left to the command, which starts with no signal blocked."""
    box.write(needs=needs)
    process = delete_case(
        run, box, tmp_path, ["sh", "-c", f"grep SigBlk /proc/self/status > {tmp_path}/called; exit 9"]
    )

    assert process.wait(10) == 0
    assert box.folder.exists()
    assert (tmp_path / "called").read_text().split() == ["SigBlk:", "0" * 16]


def test_somebody_else_deletes_first(run: Run, box: Box, tmp_path: Path) -> None:
    """A container that another command has deleted, and a new one of its name, are left alone."""
    process = delete_case(run, box, tmp_path, ["touch", str(tmp_path / "called")])
    fds = Path(f"/proc/{process.pid}/fd")
    wait_until(lambda: any(fd.resolve() == box.folder for fd in fds.iterdir()))
    box.folder.rename(tmp_path / "deleted")
    (tmp_path / "deleted/state").unlink()
    second = Box(box.root)

    assert process.wait(10) == 0
    assert (second.folder / "state").exists()
    assert not (tmp_path / "called").exists()
    second.stop()
