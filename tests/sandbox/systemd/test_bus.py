"""The connection, against a real message bus."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunc.sandbox.systemd.bus import Refused, system_bus, user_bus
from pyrunc.sandbox.systemd.message import MEMBER, SIGNAL, Malformed, call
from pyrunc.specs.errors import Failure

BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A message bus of our own."""
    if not shutil.which("dbus-daemon"):
        pytest.skip("no dbus-daemon here")
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"], stdout=subprocess.PIPE, text=True
    )
    assert daemon.stdout is not None
    try:
        yield daemon.stdout.readline().strip()
    finally:
        daemon.terminate()
        daemon.wait()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that leads to no bus."""
    import posix

    monkeypatch.setattr(posix, "environ", dict(os.environb))
    for name in (b"DBUS_SESSION_BUS_ADDRESS", b"DBUS_SYSTEM_BUS_ADDRESS", b"XDG_RUNTIME_DIR"):
        monkeypatch.delitem(posix.environ, name, raising=False)
    return monkeypatch


def give(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    import posix

    environment.setitem(posix.environ, name.encode(), value.encode())


def test_calls(environment: pytest.MonkeyPatch, address: str) -> None:
    """A call brings its answer, an error is raised with its name, and a text of any length comes whole."""
    give(environment, "DBUS_SESSION_BUS_ADDRESS", f"unix:path=/nowhere;tcp:host=x;{address}")
    bus = user_bus()

    assert bus.call(*BUS, "GetNameOwner", "s", BUS[0]) == [BUS[0]]
    assert bus.call(*BUS, "GetConnectionUnixProcessID", "s", bus.call(*BUS, "ListNames")[0][-1]) == [os.getpid()]
    with pytest.raises(Refused) as refused:
        bus.call(*BUS, "GetNameOwner", "s", "no.such.Name")
    assert refused.value.name == "org.freedesktop.DBus.Error.NameHasNoOwner"
    with pytest.raises(Refused, match="x"):
        bus.call(*BUS, "GetNameOwner", "s", "x" * 100000)
    bus.close()


def test_signals(environment: pytest.MonkeyPatch, address: str) -> None:
    """A signal is found that came before it was waited for; one that does not come is an error in time."""
    give(environment, "DBUS_SESSION_BUS_ADDRESS", address)
    bus = user_bus()
    bus.call(*BUS, "AddMatch", "s", "type='signal',member='NameOwnerChanged'")

    bus.call(*BUS, "RequestName", "su", "org.example.Test", 0)

    assert bus.signal("NameOwnerChanged", 5)[0] == "org.example.Test"
    with pytest.raises(Failure, match="ETIMEDOUT"):
        bus.signal("NameOwnerChanged", 0.05)
    bus.close()


def test_forged_signal(environment: pytest.MonkeyPatch, address: str) -> None:
    """Anybody on a bus may send us a signal: it counts only when it comes from whoever has answered us."""
    give(environment, "DBUS_SESSION_BUS_ADDRESS", address)
    stranger = user_bus()
    before = stranger.call(*BUS, "ListNames")[0]
    bus = user_bus()
    (name,) = set(stranger.call(*BUS, "ListNames")[0]) - set(before)
    forged = bytearray(call(99, "/a", "a.b", "JobRemoved", "s", ("done",), name))
    forged[1] = SIGNAL

    stranger._socket.sendall(forged)
    stranger.call(*BUS, "ListNames")

    bus.call(*BUS, "ListNames")
    assert [message.fields[MEMBER] for message in bus._signals][-1] == "JobRemoved"  # it has come
    with pytest.raises(Failure, match="ETIMEDOUT"):
        bus.signal("JobRemoved", 0.05)
    bus.close()
    stranger.close()


def test_runtime_folder(environment: pytest.MonkeyPatch, address: str, tmp_path: Path) -> None:
    """Without an address the bus is in XDG_RUNTIME_DIR."""
    (tmp_path / "bus").symlink_to(address.partition("path=")[2].partition(",")[0])
    give(environment, "XDG_RUNTIME_DIR", str(tmp_path))

    user_bus().close()


def test_system(environment: pytest.MonkeyPatch, address: str) -> None:
    """The system's bus where systemd's own socket is not there."""
    environment.setattr("pyrunc.sandbox.systemd.bus.PRIVATE", "/nowhere")
    give(environment, "DBUS_SYSTEM_BUS_ADDRESS", address)

    bus = system_bus()

    assert not bus.direct
    bus.close()


@pytest.mark.parametrize("address", ["", "unix:path=/nowhere", "nonsense", ";;", "unix:", "unix:abstract=nobody"])
def test_nobody_there(environment: pytest.MonkeyPatch, address: str) -> None:
    """No bus is one clear error."""
    give(environment, "DBUS_SESSION_BUS_ADDRESS", address)

    with pytest.raises(Failure, match="reach the user's systemd"):
        user_bus()


@pytest.mark.parametrize("answer", [b"", b"REJECTED EXTERNAL\r\n", b"DATA\r\nOK 12\r\nno message at all, but long"])
def test_liar(environment: pytest.MonkeyPatch, tmp_path: Path, answer: bytes) -> None:
    """Somebody else behind the socket is an error, not a hang."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "bus"))
    listener.listen()
    give(environment, "XDG_RUNTIME_DIR", str(tmp_path))
    child = subprocess.Popen(
        ["python3", "-c", "import socket,sys; s=socket.socket(fileno=int(sys.argv[1])); c,_=s.accept(); c.recv(999);"
         "c.sendall(bytes.fromhex(sys.argv[2]))", str(listener.fileno()), answer.hex()], pass_fds=[listener.fileno()],
    )  # fmt: skip
    listener.close()

    with pytest.raises((Failure, Malformed)):
        user_bus()
    child.wait()
