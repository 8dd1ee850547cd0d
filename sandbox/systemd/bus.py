"""A connection to systemd: by its private socket, or by a message bus. On the path of a start with --systemd-cgroup.

Calls one after the other and waits for signals; nothing goes on in the background. Must not know what is asked.
"""

from __future__ import annotations

import _socket
import posix
import time

from pyrunc.sandbox.systemd.message import (
    ERROR,
    ERROR_NAME,
    MEMBER,
    REPLY_SERIAL,
    RETURN,
    SENDER,
    SIGNAL,
    Message,
    call,
    parse,
    size,
)
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATIENCE = 30.0  # seconds for an answer or a job, as runc has it
PRIVATE = "/run/systemd/private"
SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
# Empty identities: the other side takes the one that the kernel tells it. Ours may be another one inside a user
# namespace. All at once, because systemd's own library does it so, and each round trip costs.
LOGIN = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
FULL = (11, 111)  # EAGAIN: its queue is full; ECONNREFUSED: it is being started again


class Refused(PyruncError):
    """The other side answered with an error; `name` is its D-Bus name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


class Bus:
    """An open connection. `direct`: systemd itself is at the other end, no bus between."""

    def __init__(self, connection: _socket.socket, direct: bool) -> None:
        self.direct = direct
        self._socket = connection
        self._serial = 0
        self._buffer = bytearray()
        self._signals: list[Message] = []
        self._peer: Any = None
        connection.settimeout(PATIENCE)
        self._log_in()
        if not direct:
            self.call(*BUS, "Hello")

    def close(self) -> None:
        self._socket.close()

    def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        """The values of the answer; raises Refused when it is an error. Signals that come meanwhile are kept."""
        self._serial += 1
        data = call(self._serial, path, interface, member, signature, body, "" if self.direct else destination)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise _lost(error) from None
        while True:
            message = self._receive(PATIENCE)
            if message.kind == SIGNAL:
                self._signals.append(message)
            elif message.fields.get(REPLY_SERIAL) == self._serial:
                self._peer = message.fields.get(SENDER)
                if message.kind == RETURN:
                    return message.body
                if message.kind == ERROR:
                    text = str(message.body[0]) if message.body else ""
                    raise Refused(str(message.fields.get(ERROR_NAME, "")), text)

    def signal(self, member: str, patience: float) -> list[Any]:
        """The values of the next signal of that name from whoever has answered last, also of one that came before.
        Raises Failure when there is none in time."""
        end = time.monotonic() + patience
        while True:
            for message in self._signals:
                # Everybody on a bus may send us one, asked for or not.
                if message.fields.get(MEMBER) == member and message.fields.get(SENDER) == self._peer:
                    self._signals.remove(message)
                    return message.body
            self._signals.clear()
            message = self._receive(end - time.monotonic())
            if message.kind == SIGNAL:
                self._signals.append(message)

    def _log_in(self) -> None:
        try:
            self._socket.sendall(LOGIN)
            while b"OK " not in self._buffer or b"\r\n" not in self._buffer.partition(b"OK ")[2]:
                if b"REJECTED" in self._buffer or b"ERROR" in self._buffer:
                    raise Failure("log in to systemd", detail=self._buffer.decode("ascii", "replace").strip())
                self._fill()
        except OSError as error:
            raise _lost(error) from None
        self._buffer = self._buffer.partition(b"OK ")[2].partition(b"\r\n")[2]

    def _receive(self, patience: float) -> Message:
        try:
            self._socket.settimeout(max(patience, 0.001))
            while True:
                wanted = size(self._buffer)
                if wanted and len(self._buffer) >= wanted:
                    data = bytes(self._buffer[:wanted])
                    del self._buffer[:wanted]
                    return parse(data)
                self._fill()
        except OSError as error:
            raise _lost(error) from None

    def _fill(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError(104, "closed")
        self._buffer += data


def _lost(error: OSError) -> Failure:
    if isinstance(error, TimeoutError):
        return Failure("hear from systemd", number=110, hint="`systemctl list-jobs` shows what it waits for")
    return Failure("talk to systemd", number=error.errno or 0)


def system_bus() -> Bus:
    """systemd as process 1. By its private socket where we may: that takes no bus, and half the time."""
    bus = _connected(PRIVATE, True) if posix.geteuid() == 0 else None
    bus = bus or _first(_environment(b"DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM_BUS)
    if bus is None:
        raise Failure(
            "reach systemd", "linux.cgroupsPath", detail=f"neither {PRIVATE} nor the system bus takes a connection",
            hint="leave out --systemd-cgroup: pyrunc then makes the cgroup itself",
        )  # fmt: skip
    return bus


def user_bus() -> Bus:
    """The systemd of this user."""
    addresses = _environment(b"DBUS_SESSION_BUS_ADDRESS")
    folder = _environment(b"XDG_RUNTIME_DIR")
    bus = _first(addresses or (f"unix:path={_escaped(folder)}/bus" if folder else ""))
    if bus is None and folder:
        bus = _connected(f"{folder}/systemd/private", True)
    if bus is None:
        raise Failure(
            "reach the user's systemd", "linux.cgroupsPath",
            detail="could not detect DBUS_SESSION_BUS_ADDRESS from the environment" if not (addresses or folder)
            else f"nothing answers at {addresses or folder + '/bus'}",
            hint="install dbus-user-session and log in anew, or leave out --systemd-cgroup",
        )  # fmt: skip
    return bus


def _first(addresses: str) -> Bus | None:
    """The first of the addresses (`unix:path=/run/bus;unix:abstract=x`) that takes a connection."""
    for address in addresses.split(";"):
        kind, _, rest = address.partition(":")
        keys = dict([item.partition("=")[::2] for item in rest.split(",")])
        name = keys.get("path") or ("\0" + keys["abstract"] if "abstract" in keys else "")
        bus = _connected(_unescaped(name), False) if kind == "unix" and name else None
        if bus is not None:
            return bus
    return None


def _connected(path: str, direct: bool) -> Bus | None:
    """None when nobody is there; waits for one whose queue is full."""
    pause = 0.05
    while True:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            connection.connect(path.encode("utf-8", "surrogateescape"))
            return Bus(connection, direct)
        except OSError as error:
            connection.close()
            if error.errno not in FULL or pause > 2:
                return None
        except BaseException:
            connection.close()
            raise
        time.sleep(pause)
        pause *= 2


def _environment(name: bytes) -> str:
    return posix.environ.get(name, b"").decode("utf-8", "surrogateescape")


def _unescaped(text: str) -> str:
    """D-Bus writes what is no plain character as %XX."""
    head, *parts = text.split("%")
    return head + "".join([chr(int(part[:2], 16)) + part[2:] for part in parts])


def _escaped(text: str) -> str:
    return "".join([char if char.isalnum() or char in "-_/.\\*" else f"%{ord(char):02x}" for char in text])


