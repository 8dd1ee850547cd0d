"""The socket that stands for the service manager inside a container: whatever is thrown at it, and for however long,
the service manager hears once that the container is ready, and nothing keeps the command from its other duties."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from pyrunc.notify import serve
from tests.system.box import Box, eventually
from tests.system.test_notify import Manager, call
from tests.system.test_notify import manager as manager

from .conftest import Bundle

FLOOD = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* Three processes that never stop: words, zeros, empty messages, large ones, and a file descriptor with each. */
static void end(int number) { (void)number; _exit(42); }
int main(void) {
    static char large[65536] = "READY=1\n";
    const char *texts[] = {"READY=1", "", "READY=1\nMAINPID=1\nFDSTORE=1\nBARRIER=1", large, "X_READY=1"};
    size_t lengths[] = {7, 0, strlen(texts[2]), sizeof large, 9};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, getenv("NOTIFY_SOCKET"));
    if (fork() && fork())
        return signal(SIGTERM, end), write(1, "flooding\n", 9), pause();
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (unsigned at = 0;; at++) {
        union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int))]; } control = {0};
        struct iovec part = {(void *)texts[at % 5], lengths[at % 5]};
        struct msghdr message = {&address, sizeof address, &part, 1, control.bytes, sizeof control.bytes, 0};
        struct cmsghdr *item = CMSG_FIRSTHDR(&message);
        item->cmsg_level = SOL_SOCKET, item->cmsg_type = SCM_RIGHTS, item->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(item), &fd, sizeof fd);
        sendmsg(fd, &message, 0);
    }
}
"""


@pytest.fixture(scope="module")
def flood(gcc: None, folder: Path) -> Path:
    program = folder / "flood"
    subprocess.run(["gcc", "-static", "-x", "c", "-o", program, "-"], input=FLOOD, text=True, check=True)
    return program


@pytest.fixture
def box(bundle: Bundle, flood: Path) -> Box:
    box = bundle("/bin/flood")
    shutil.copy(flood, box.rootfs / "bin/flood")
    (box.rootfs / "run").mkdir()
    box.write()
    return box


def test_foreground(box: Box, manager: Manager) -> None:
    """A flood is heard once, leaves no descriptor in the waiter, and does not keep it from passing on a signal."""
    running = call(box, manager, "run", "--bundle", str(box.folder), box.id)
    box.wait_for("flooding")
    assert eventually(lambda: len(manager.heard) >= 2)
    before = len(os.listdir(f"/proc/{running.pid}/fd"))

    signal.sigtimedwait([], 0.3)
    assert len(os.listdir(f"/proc/{running.pid}/fd")) == before
    running.send_signal(signal.SIGTERM)

    assert running.wait(10) == 42
    assert manager.heard == ["READY=1", f"MAINPID={running.pid}"]


def test_detached(box: Box, manager: Manager) -> None:
    """Whoever stays for a detached container tells it once, and goes."""
    done = call(box, manager, "run", "--detach", "--bundle", str(box.folder), box.id)

    assert done.wait(10) == 0
    assert manager.heard == ["READY=1", f"MAINPID={box.pid}", "BARRIER=1"]


class Endless(socket.socket):
    """A socket that is never empty: whoever reads a datagram finds the next one already there."""

    def __init__(self) -> None:
        ours, self.talker = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        super().__init__(fileno=ours.detach())
        self.talker.send(b"STATUS=still here")

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.talker.send(b"STATUS=still here")
        return super().recv(size, flags)

    def close(self) -> None:
        super().close()
        self.talker.close()


@pytest.mark.timeout(20)
def test_end_is_seen() -> None:
    """The end of the container ends the wait, though somebody who has its socket goes on talking."""
    child = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(child.pid)
    child.wait()

    with Endless() as endless:
        serve(endless, pidfd, child.pid)

    os.close(pidfd)
