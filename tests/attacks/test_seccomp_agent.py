"""A seccomp agent is a stranger: one that dies, hangs up, says nothing or talks back harms the container that asked for
it, and nobody else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.box import Box

from .conftest import Bundle

Manner = Callable[[socket.socket], None]


def refuses(link: socket.socket) -> None:
    """Hangs up without a look at what came."""
    link.close()


def talks_back(link: socket.socket) -> None:
    """Answers with more than anybody wants to read."""
    link.setblocking(False)
    try:
        while True:
            link.send(b"\xff" * 65536)
    except OSError:
        link.close()


def takes_and_dies(link: socket.socket) -> None:
    """Takes the listener, and ends with it."""
    socket.recv_fds(link, 65536, 4)
    link.close()


@pytest.fixture
def agent(folder: Path) -> Iterator[Callable[[Manner], Path]]:
    path = folder / "agent.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    threads: list[threading.Thread] = []

    def behave(manner: Manner) -> Path:
        def serve() -> None:
            try:
                while True:
                    manner(server.accept()[0])
            except OSError:
                return

        threads.append(threading.Thread(target=serve))
        threads[0].start()
        return path

    yield behave
    server.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    server.close()
    path.unlink()


def asking(box: Box, path: Path) -> Box:
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path),
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }  # fmt: skip
    return box.sh("mkdir /tmp/made; sleep 1000")


@pytest.mark.timeout(40)
@pytest.mark.parametrize("manner", [refuses, talks_back, takes_and_dies])
def test_attack_fails(bundle: Bundle, agent: Callable[[Manner], Path], manner: Manner) -> None:
    """The command ends, the call is refused, and the container can be ended and deleted; another one starts as ever."""
    box = asking(bundle(), agent(manner))

    done = box.run_detached()

    if done.ok:
        assert box.exec("ls", "/tmp/made").ok is False
        assert box.kill("KILL").ok
        assert box.delete("--force").ok
    else:
        assert done.err.count("level=error") <= 1
        assert "does not exist" in box.runtime("state", box.id).err
    assert bundle("true").run().ok


@pytest.mark.timeout(40)
def test_silent_agent(bundle: Bundle, folder: Path) -> None:
    """One that is there and never accepts keeps the call waiting, and neither the kill nor the delete."""
    path = folder / "silent.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        box = asking(bundle(), path)

        assert box.run_detached().ok
        assert box.kill("KILL").ok
        box.wait()
        assert box.delete().ok
    path.unlink()
