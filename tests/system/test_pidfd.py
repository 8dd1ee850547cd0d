"""--pidfd-socket: whoever supervises a container gets a pidfd of its process, which no reuse of a pid can mislead."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import host
from .box import eventually
from .conftest import Bundle

pytestmark = pytest.mark.unlike("crun", "has no such flag")


class Supervisor:
    """The engine's end."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.server = socket.socket(socket.AF_UNIX)
        with contextlib.chdir(path.parent):
            self.server.bind(path.name)
        self.server.listen()
        self.server.settimeout(10)

    def pidfd(self) -> tuple[int, str]:
        """The pidfd and the message that came with it."""
        connection, _ = self.server.accept()
        with connection:
            message, fds, _, _ = socket.recv_fds(connection, 4096, 4)
        assert len(fds) == 1
        return fds[0], message.rstrip(b"\0").decode()


@pytest.fixture
def supervisor(folder: Path) -> Iterator[Supervisor]:
    path = folder / "pidfd.sock"
    supervisor = Supervisor(path)
    yield supervisor
    supervisor.server.close()
    path.unlink()


def pid_of(pidfd: int) -> int:
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))


def test_create(bundle: Bundle, supervisor: Supervisor) -> None:
    """`create` sends a pidfd of the container's init, by which it can be ended."""
    box = bundle().sh("sleep 1000")

    assert box.create("--pidfd-socket", supervisor.path).ok
    pidfd, message = supervisor.pidfd()

    assert message == "standard"
    assert pid_of(pidfd) == box.pid
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    box.wait("stopped")


def test_run(bundle: Bundle, supervisor: Supervisor) -> None:
    """So does `run --detach`."""
    box = bundle().sh("sleep 1000")

    assert box.run_detached("--pidfd-socket", supervisor.path).ok
    pidfd, message = supervisor.pidfd()

    assert message == "standard"
    assert pid_of(pidfd) == box.pid
    os.close(pidfd)


def test_exec(bundle: Bundle, supervisor: Supervisor) -> None:
    """`exec` sends one of its own process: ending that leaves the container alone."""
    box = bundle().up()
    pid_file = box.folder / "pid"
    flags = ["--detach", "--pid-file", str(pid_file), "--pidfd-socket", supervisor.path]

    assert box.runtime.with_files("exec", *flags, box.id, "sleep", "1000", output=box.output, errors=box.errors).ok
    pidfd, message = supervisor.pidfd()

    assert message == "setns"
    assert pid_of(pidfd) == int(pid_file.read_text())
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert eventually(lambda: bool(select.select([pidfd], [], [], 0)[0]))
    os.close(pidfd)
    host.reap()
    assert box.status == "running"


def test_nobody_listens(bundle: Bundle) -> None:
    """Without a receiver nothing is made."""
    box = bundle("true")

    result = box.create("--pidfd-socket", str(box.folder / "nothing"))

    assert not result.ok
    assert not box.runtime("state", box.id).ok


@pytest.mark.only("pyrunc", "crun")
def test_annotation(bundle: Bundle, supervisor: Supervisor) -> None:
    """crun's annotation run.oci.pidfd_receiver does the same."""
    box = bundle().sh("sleep 1000")
    box.config["annotations"] = {"run.oci.pidfd_receiver": supervisor.path}

    assert box.create().ok
    pidfd, _ = supervisor.pidfd()

    assert pid_of(pidfd) == box.pid
    os.close(pidfd)
