"""Terminals: the console socket, /dev/console, window sizes, and a terminal of the caller's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import socket
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import host
from .box import Box, eventually
from .conftest import Bundle


def read_until(fd: int, text: str, seconds: float = 5) -> str:
    """What comes out of a terminal up to some text, or to its end."""
    got = b""
    end = time.monotonic() + seconds
    while text.encode() not in got and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                data = os.read(fd, 4096)
            except OSError:  # EIO: nobody holds the other end
                break
            if not data:
                break
            got += data
    return got.decode(errors="replace")


class Receiver:
    """The engine's end of --console-socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = socket.socket(socket.AF_UNIX)
        with contextlib.chdir(path.parent):  # a path may be longer than an address
            self.server.bind(path.name)
        self.server.listen()
        self.server.settimeout(10)
        self.message = b""

    def master(self) -> int:
        connection, _ = self.server.accept()
        with connection:
            self.message, fds, _, _ = socket.recv_fds(connection, 4096, 4)
            assert len(fds) == 1
            assert connection.recv(1) == b""  # the runtime has closed its end
        return fds[0]


@pytest.fixture
def receiver(folder: Path) -> Iterator[Receiver]:
    path = folder / "console.sock"
    receiver = Receiver(path)
    yield receiver
    receiver.server.close()
    path.unlink()


def with_terminal(box: Box, script: str) -> Box:
    box.process["terminal"] = True
    return box.sh(script)


def test_console_socket(bundle: Bundle, receiver: Receiver) -> None:
    """The master of the container's terminal comes over the socket, once, with a name as its message."""
    box = with_terminal(bundle(), "tty; test -t 0 -a -t 1 -a -t 2 && echo all; read line; echo got $line")

    assert box.create("--console-socket", str(receiver.path)).ok
    master = receiver.master()
    assert box.start().ok
    os.write(master, b"hello\n")
    out = read_until(master, "got hello")
    os.close(master)

    assert receiver.message
    assert "/dev/pts/0" in out or "/dev/console" in out
    assert "all" in out
    assert "got hello" in out
    box.wait("stopped")


def test_console_device(bundle: Bundle, receiver: Receiver) -> None:
    """/dev/console is the terminal, and the process is the leader of its session."""
    box = with_terminal(
        bundle(),
        "echo through > /dev/console; echo tty > /dev/tty; cut -d' ' -f6 /proc/self/stat; echo end",
    )

    assert box.run_detached("--console-socket", str(receiver.path)).ok
    master = receiver.master()
    out = read_until(master, "end")
    os.close(master)

    assert "through" in out
    assert "tty" in out
    assert "\r\n1\r\n" in out
    assert "end" in out
    box.wait("stopped")


def test_owner(bundle: Bundle, receiver: Receiver) -> None:
    """The terminal belongs to the process's user; its group stays the one that devpts was mounted with."""
    box = with_terminal(bundle(), "stat -c %u:%g /dev/pts/0; echo end")
    box.process["user"] = {"uid": 1000, "gid": 1001}
    devpts = next(mount for mount in box.config["mounts"] if mount["destination"] == "/dev/pts")
    devpts["options"] = [*(one for one in devpts["options"] if not one.startswith("gid=")), "gid=5"]

    assert box.run_detached("--console-socket", str(receiver.path)).ok
    master = receiver.master()
    out = read_until(master, "end")
    os.close(master)

    assert "1000:5" in out
    box.wait("stopped")


def test_console_size(bundle: Bundle, receiver: Receiver) -> None:
    """consoleSize is the size of the terminal from the start."""
    box = with_terminal(bundle(), "stty size; echo end")
    box.process["consoleSize"] = {"height": 33, "width": 121}

    assert box.run_detached("--console-socket", str(receiver.path)).ok
    master = receiver.master()
    out = read_until(master, "end")

    assert "33 121" in out
    os.close(master)
    box.wait("stopped")


@pytest.mark.unlike("crun", "gives it to root")
def test_console_owner(bundle: Bundle, receiver: Receiver) -> None:
    """The terminal belongs to the user of the process, who can open it."""
    box = with_terminal(bundle(), "stat -c %u $(readlink /proc/self/fd/0); echo x > /dev/tty; echo end")
    box.process["user"] = {"uid": 1000, "gid": 1000}

    assert box.run_detached("--console-socket", str(receiver.path)).ok
    master = receiver.master()
    out = read_until(master, "end")

    assert "1000\r\n" in out
    assert "x\r\n" in out
    os.close(master)
    box.wait("stopped")


@pytest.mark.only("pyrunc")
def test_long_socket_path(bundle: Bundle) -> None:
    """A console socket may have a longer path than an address can hold."""
    box = with_terminal(bundle(), "echo end")
    deep = box.folder / ("d" * 90) / ("e" * 60)
    deep.mkdir(parents=True)
    receiver = Receiver(deep / "console.sock")

    assert box.run_detached("--console-socket", str(receiver.path)).ok
    master = receiver.master()
    receiver.server.close()

    assert "end" in read_until(master, "end")
    os.close(master)
    box.wait("stopped")


def test_nobody_listens(bundle: Bundle, folder: Path) -> None:
    """A console socket that nobody listens on is an error, and nothing is left."""
    box = with_terminal(bundle(), "true")

    assert not box.create("--console-socket", str(folder / "nobody.sock")).ok


def test_needs_socket(bundle: Bundle) -> None:
    """A detached container with a terminal needs a console socket."""
    box = with_terminal(bundle(), "true")

    result = box.create()

    assert not result.ok
    if box.runtime.kind != "crun":
        assert "cannot allocate tty if runc will detach without setting console socket" in result.err


@pytest.mark.unlike("crun", "ignores it")
def test_needs_terminal(bundle: Bundle, folder: Path) -> None:
    """A console socket without a terminal is an error."""
    box = bundle("true")

    result = box.create("--console-socket", str(folder / "nobody.sock"))

    assert result.status == 1
    assert "cannot use console socket if runc will not detach or allocate tty" in result.err


class Screen:
    """A command in the foreground of a terminal, as if somebody sat there."""

    def __init__(self, box: Box, *args: str) -> None:
        box.write()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            argv = box.runtime.argv(*args)
            os.execvp(argv[0], argv)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self) -> int:
        with contextlib.suppress(OSError):
            while os.read(self.fd, 4096):
                pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def run_on_screen(box: Box) -> Screen:
    return Screen(box, "run", "--bundle", str(box.folder), box.id)


def test_foreground(bundle: Bundle) -> None:
    """A foreground run with a terminal connects it to the caller's: keys in, text out, exit code kept."""
    box = with_terminal(bundle(), "echo ready; read line; echo got $line; exit 7")
    screen = run_on_screen(box)

    assert "ready\r\n" in read_until(screen.fd, "ready\r\n")
    os.write(screen.fd, b"keys\r")
    out = read_until(screen.fd, "got keys")

    assert out.count("keys") == 2  # echoed once, by the container's terminal alone
    assert screen.end() == 7


def test_interrupt_key(bundle: Bundle) -> None:
    """Ctrl-C is a key of the container's terminal: it interrupts the program inside, not the runtime."""
    box = with_terminal(bundle(), 'trap "echo caught; exit 3" INT; echo ready; while :; do usleep 10000; done')
    screen = run_on_screen(box)
    read_until(screen.fd, "ready")

    os.write(screen.fd, b"\x03")

    assert "caught" in read_until(screen.fd, "caught")
    assert screen.end() == 3


def test_window_size(bundle: Bundle) -> None:
    """The size of the caller's window is the container's, from the start and after each change."""
    box = with_terminal(
        bundle(),
        "echo ready; read line; stty size; trap 'stty size; echo end' WINCH; echo again; while :; do usleep 9999; done",
    )
    screen = run_on_screen(box)
    read_until(screen.fd, "ready")
    screen.resize(40, 100)
    time.sleep(0.2)
    os.write(screen.fd, b"\r")
    assert "40 100" in read_until(screen.fd, "again")

    screen.resize(50, 90)

    assert "50 90" in read_until(screen.fd, "end")
    box.kill("KILL")
    assert screen.end() == 137


def test_terminal_is_restored(bundle: Bundle) -> None:
    """After a foreground run the caller's terminal is as it was before."""
    box = with_terminal(bundle(), "echo ready; sleep 0.2")
    box.write()
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = box.runtime.spawn(
        "run", "--bundle", str(box.folder), box.id, stdin=slave, stdout=slave, stderr=slave, new_session=True
    )
    read_until(master, "ready")

    assert process.wait(10) == 0
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    os.close(master)


def test_exec_terminal(bundle: Bundle) -> None:
    """`exec --tty` gives the process a terminal of its own, connected to the caller's."""
    box = bundle().up()
    screen = Screen(box, "exec", "--tty", box.id, "sh", "-c", "tty; read line; echo got $line; exit 5")
    out = read_until(screen.fd, "/dev/pts/")
    os.write(screen.fd, b"keys\r")

    assert "/dev/pts/" in out
    assert "got keys" in read_until(screen.fd, "got keys")
    assert screen.end() == 5


def test_exec_console_socket(bundle: Bundle, receiver: Receiver) -> None:
    """`exec --detach --tty --console-socket` hands the terminal over."""
    box = bundle().up()

    result = box.runtime.with_files(
        "exec", "--detach", "--tty", "--console-socket", str(receiver.path), box.id, "sh", "-c", "stty size; echo end",
        output=box.output, errors=box.errors,
    )  # fmt: skip

    assert result.ok, result
    master = receiver.master()
    assert "end" in read_until(master, "end")
    os.close(master)
    assert eventually(lambda: not any(map(host.alive, set(host.children(os.getpid())) - {box.pid})))


@pytest.mark.unlike("crun", "takes it from the document")
def test_exec_terminal_is_by_flag_alone(bundle: Bundle, receiver: Receiver) -> None:
    """The document's `terminal` means the container's process; exec has one with --tty alone."""
    box = with_terminal(bundle(), "sleep 1000")
    assert box.run_detached("--console-socket", str(receiver.path)).ok
    master = receiver.master()

    result = box.exec("sh", "-c", "test -t 0 || echo none")

    os.close(master)
    assert result.out == "none\n"


def test_stdin_of_detached_terminal_is_ignored(bundle: Bundle, receiver: Receiver) -> None:
    """With a terminal none of the caller's own stdin, stdout and stderr gets into the container."""
    box = with_terminal(bundle(), "sleep 1000")
    assert box.run_detached("--console-socket", str(receiver.path)).ok
    master = receiver.master()

    links = {os.readlink(f"/proc/{box.pid}/fd/{fd}") for fd in (0, 1, 2)}

    os.close(master)
    assert len(links) == 1
    assert "pts" in links.pop()
