"""sd_notify(3) out of containers: the service manager hears READY=1 and the pid to watch, and nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .box import Box, eventually
from .conftest import Bundle

TALKER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) { /* each argument is a datagram; then it stays */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (!path || strlen(path) >= sizeof address.sun_path) { puts("no socket"); return 1; }
    strcpy(address.sun_path, path);
    for (int i = 1; i < argc; i++)
        if (sendto(fd, argv[i], strlen(argv[i]), 0, (struct sockaddr *)&address, sizeof address) < 0)
            return 1;
    puts("said");
    fflush(stdout);
    sleep(1000);
}
"""


class Manager:
    """systemd's side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.chdir(path.parent):
            self.server.bind(path.name)
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()

    def listen(self) -> None:
        while True:
            message, fds, _, _ = socket.recv_fds(self.server, 4096, 4)
            for fd in fds:  # answers a barrier
                os.close(fd)
            if message == b"end":
                return
            self.heard.append(message.decode().strip())

    @property
    def env(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path)}

    def end(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link, contextlib.chdir(self.path.parent):
            link.sendto(b"end", self.path.name)
        self.thread.join()
        self.server.close()
        self.path.unlink()


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    manager = Manager(folder / "manager.sock")
    yield manager
    manager.end()


@pytest.fixture(scope="session")
def talker(folder: Path) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    program = folder / "talker"
    subprocess.run(["gcc", "-static", "-x", "c", "-o", program, "-"], input=TALKER, text=True, check=True)
    return program


def talking(box: Box, talker: Path, *messages: str) -> Box:
    shutil.copy(talker, box.rootfs / "bin/talker")
    (box.rootfs / "run").mkdir()
    box.process["args"] = ["/bin/talker", *messages]
    box.write()
    return box


def call(box: Box, manager: Manager, *args: str) -> subprocess.Popen[bytes]:
    with box.output.open("ab") as out, box.errors.open("ab") as err:
        env = {**os.environ, **manager.env}
        return subprocess.Popen(box.runtime.argv(*args), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)


def test_detached(bundle: Bundle, manager: Manager, talker: Path) -> None:
    """`run --detach` stays until the container is ready, and says so with the container's pid."""
    box = talking(bundle(), talker, "READY=1")

    done = call(box, manager, "run", "--detach", "--bundle", str(box.folder), box.id)

    assert done.wait(10) == 0, box.errors.read_text()
    assert manager.heard == ["READY=1", f"MAINPID={box.pid}", "BARRIER=1"]
    assert box.status == "running"


def test_start(bundle: Bundle, manager: Manager, talker: Path) -> None:
    """So does `start`; `create` does not wait."""
    box = talking(bundle(), talker, "STATUS=warming up", "MAINPID=1", "READY=1\nSTATUS=up")

    assert call(box, manager, "create", "--bundle", str(box.folder), box.id).wait(10) == 0
    assert manager.heard == []
    assert call(box, manager, "start", box.id).wait(10) == 0

    heard = [message for message in manager.heard if not message.startswith("STATUS")]
    assert heard == ["READY=1", f"MAINPID={box.pid}", "BARRIER=1"]


def test_never_ready(bundle: Bundle, manager: Manager) -> None:
    """A container that ends without a word ends the wait as well."""
    box = bundle("true")
    (box.rootfs / "run").mkdir()
    box.write()

    done = call(box, manager, "run", "--detach", "--bundle", str(box.folder), box.id)

    assert done.wait(10) == 0
    assert manager.heard == []


@pytest.mark.unlike("runc", "does not pass on signals before the container is ready")
@pytest.mark.unlike("crun", "says the pid of the container")
def test_foreground(bundle: Bundle, manager: Manager, talker: Path) -> None:
    """In the foreground the service's main process is the command itself, which goes on passing on signals."""
    box = talking(bundle(), talker, "READY=1")

    running = call(box, manager, "run", "--bundle", str(box.folder), box.id)

    assert eventually(lambda: len(manager.heard) >= 2)
    assert manager.heard == ["READY=1", f"MAINPID={running.pid}"]
    running.terminate()
    box.runtime("kill", box.id, "KILL")
    assert running.wait(10) == 128 + 9
    assert not box.runtime("state", box.id).ok


def test_nobody_asked(bundle: Bundle, talker: Path) -> None:
    """Without NOTIFY_SOCKET the container has neither the variable nor the socket."""
    result = talking(bundle(), talker, "READY=1").run()

    assert (result.status, result.out) == (1, "no socket\n")


@pytest.mark.only("pyrunc")
def test_long_path(bundle: Bundle, manager: Manager, talker: Path) -> None:
    """A state folder whose path is longer than a socket's address may be works as well."""
    box = talking(bundle(), talker, "READY=1")
    state = box.folder / ("s" * 120)
    plain, box.runtime.state = box.runtime.state, state
    try:
        assert call(box, manager, "run", "--detach", "--bundle", str(box.folder), box.id).wait(10) == 0
        assert manager.heard[:2] == ["READY=1", f"MAINPID={box.pid}"]
        assert box.delete("--force").ok
    finally:
        box.runtime.state = plain
