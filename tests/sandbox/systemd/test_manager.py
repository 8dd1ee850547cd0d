"""What is asked of systemd, against a peer that answers as it does."""

from __future__ import annotations

import os
import posix
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyrunc.sandbox.systemd.manager import Manager
from pyrunc.sandbox.systemd.message import CALL, ERROR, MEMBER, RETURN, SIGNAL, Message, encode, parse, size
from pyrunc.specs.errors import Failure

JOB = "/org/freedesktop/systemd1/job/7"
Answer = tuple[int, str, str, tuple[Any, ...]]  # kind, name of signal or error, signature, values


class Peer:
    """One end of a socket that takes calls one after the other; `answers` says what comes for each."""

    def __init__(self, folder: Path, answers: Callable[[Message], list[Answer]]) -> None:
        self.calls: list[Message] = []
        self.answers = answers
        (folder / "systemd").mkdir()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "systemd/private"))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        data = b""
        while b"BEGIN\r\n" not in data:
            data += connection.recv(4096)
        connection.sendall(b"DATA\r\nOK 0123456789abcdef\r\n")
        data = data.partition(b"BEGIN\r\n")[2]
        while True:
            while not size(data) or len(data) < size(data):
                more = connection.recv(65536)
                if not more:
                    connection.close()
                    return
                data += more
            message, data = parse(data[: size(data)]), data[size(data) :]
            self.calls.append(message)
            for kind, name, signature, values in self.answers(message):
                connection.sendall(packed(kind, message.serial, name, signature, values))

    def names(self) -> list[str]:
        return [message.fields[MEMBER] for message in self.calls if message.kind == CALL]


def packed(kind: int, serial: int, name: str, signature: str, values: tuple[Any, ...]) -> bytes:
    fields: list[tuple[int, tuple[str, Any]]] = [(8, ("g", signature))]
    if kind == SIGNAL:
        fields += [(1, ("o", "/p")), (2, ("s", "i.f")), (3, ("s", name))]
    else:
        fields.append((5, ("u", serial)))
    if kind == ERROR:
        fields.append((4, ("s", name)))
    body = encode(signature, values)
    head = encode("yyyyuua(yv)", (ord("l"), kind, 0, 1, len(body), 99, fields))
    return head + bytes(-len(head) % 8) + body


def finished(result: str, job: str = JOB) -> Answer:
    return SIGNAL, "JobRemoved", "uoss", (7, job, "a.scope", result)


STARTED: Answer = (RETURN, "", "o", (JOB,))
NOTHING: Answer = (RETURN, "", "", ())


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Peer]]:
    monkeypatch.setattr(posix, "environ", {**os.environb, b"XDG_RUNTIME_DIR": os.fsencode(tmp_path)})
    monkeypatch.delitem(posix.environ, b"DBUS_SESSION_BUS_ADDRESS", raising=False)
    made: list[Peer] = []

    def make(answers: Callable[[Message], list[Answer]]) -> Peer:
        made.append(Peer(tmp_path, answers))
        return made[-1]

    yield make
    for item in made:
        item.thread.join(10)
        item.listener.close()


def test_start(peer: Callable[..., Peer]) -> None:
    """A unit is started with its properties and its process, and has started when its own job has ended."""
    systemd = peer(lambda message: [finished("done", "/other"), STARTED, finished("done")])

    with Manager("user") as manager:
        manager.start("a.scope", [("Delegate", "b", True)], [42])

    assert systemd.calls[0].body == [
        "a.scope", "replace", [("Delegate", ("b", True)), ("PIDs", ("au", [42]))], [],
    ]  # fmt: skip


def test_job_before_answer(peer: Callable[..., Peer]) -> None:
    """The end of a job may be told before the call that asked for it is answered."""
    peer(lambda message: [finished("done"), STARTED])

    with Manager("user") as manager:
        manager.start("a.scope", [], [1])


def test_failed_job(peer: Callable[..., Peer]) -> None:
    """A job that fails is an error, and the unit is forgotten."""
    systemd = peer(
        lambda message: [STARTED, finished("failed")] if message.fields[MEMBER] == "StartTransientUnit" else [NOTHING]
    )

    with Manager("user") as manager, pytest.raises(Failure, match="start unit a.scope.*systemd says failed"):
        manager.start("a.scope", [], [1])
    assert systemd.names() == ["StartTransientUnit", "ResetFailedUnit"]


def test_left_over(peer: Callable[..., Peer]) -> None:
    """A unit of that name that has failed is forgotten, once; one that lives is an error."""

    def exists(message: Message) -> list[Answer]:
        if message.fields[MEMBER] == "ResetFailedUnit":
            return [NOTHING]
        return [(ERROR, "org.freedesktop.systemd1.UnitExists", "s", ("Unit a.scope was already loaded.",))]

    systemd = peer(exists)

    with Manager("user") as manager, pytest.raises(Failure, match="already loaded"):
        manager.start("a.scope", [], [1])
    assert systemd.names() == ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]


def test_old_systemd(peer: Callable[..., Peer]) -> None:
    """What an older systemd does not know, and the files say as well, is left out; anything else is an error."""

    def old(message: Message) -> list[Answer]:
        for name, _ in message.body[2]:
            if name in ("AllowedCPUs", "Surprise"):
                text = f"Cannot set property {name}, or unknown property."
                return [(ERROR, "org.freedesktop.DBus.Error.PropertyReadOnly", "s", (text,))]
        return [STARTED, finished("done")]

    systemd = peer(old)

    with Manager("user") as manager:
        manager.start("a.scope", [("AllowedCPUs", "ay", b"\1"), ("MemoryMax", "t", 5)], [1])
        with pytest.raises(Failure, match="Surprise"):
            manager.start("a.scope", [("Surprise", "s", "")], [1])
    assert [name for name, _ in systemd.calls[1].body[2]] == ["MemoryMax", "PIDs"]


def test_stop(peer: Callable[..., Peer]) -> None:
    """A unit that is stopped is gone when its job has ended, and not remembered as failed."""
    systemd = peer(lambda m: [STARTED, finished("done")] if m.fields[MEMBER] == "StopUnit" else [NOTHING])

    with Manager("user") as manager:
        manager.stop("a.scope")

    assert systemd.names() == ["StopUnit", "ResetFailedUnit"]


def test_stop_nothing(peer: Callable[..., Peer]) -> None:
    """A unit that has gone by itself needs no stop."""
    peer(lambda message: [(ERROR, "org.freedesktop.systemd1.NoSuchUnit", "s", ("Unit a.scope not loaded.",))])

    with Manager("user") as manager:
        manager.stop("a.scope")


def test_hung_up(peer: Callable[..., Peer]) -> None:
    """systemd that goes away in the middle is an error."""
    peer(lambda message: [])

    with Manager("user") as manager:
        manager.bus._socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(Failure, match="talk to systemd"):
            manager.change("a.scope", [("MemoryMax", "t", 1)])


