"""Logs that are no files: systemd's journal and syslog, as crun's `--log journald:NAME` and `syslog:NAME` have them.

Only loaded when such a one is asked for. A record is one datagram; NAME is what the journal shows as its source.
"""

from __future__ import annotations

import _socket
import posix
import time

from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Sink = Callable[[str, str], None]  # gets level and message

PRIORITIES = {"error": 3, "warning": 4, "debug": 7}  # syslog(3)
USER = 1 << 3  # the facility
JOURNAL, SYSLOG = "/run/systemd/journal/socket", "/dev/log"


def open_sink(kind: str, name: str, journal: str = JOURNAL, syslog: str = SYSLOG) -> Sink:
    """`kind` is journald or syslog. Raises Failure when nobody listens: a log that goes nowhere is an error."""
    if not name:
        raise PyruncError(f"--log {kind}: needs a name", hint=f"{kind}:NAME")
    if kind == "journald":
        link = _connect(journal, f"journald:{name}")
        return lambda level, message: _send(link, _fields(level, name, message))
    link = _connect(syslog, f"syslog:{name}")
    return lambda level, message: _send(link, _line(level, name, message))


def _fields(level: str, name: str, message: str) -> bytes:
    """The journal's own protocol; a field with its length in front may have newlines in it."""
    text = message.encode("utf-8", "surrogateescape")
    head = f"PRIORITY={PRIORITIES[level]}\nSYSLOG_IDENTIFIER={name}\nSYSLOG_PID={posix.getpid()}\nMESSAGE\n".encode()
    return head + len(text).to_bytes(8, "little") + text + b"\n"


def _line(level: str, name: str, message: str) -> bytes:
    moment = time.strftime("%b %e %H:%M:%S", time.localtime())
    text = f"<{USER | PRIORITIES[level]}>{moment} {name}[{posix.getpid()}]: {message}"
    return text.encode("utf-8", "surrogateescape")


def _connect(path: str, log: str) -> _socket.socket:
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        link.connect(path)
    except OSError as error:
        link.close()
        hint = f"nobody listens on {path}: --log FILE works everywhere"
        raise Failure(f"open the log {log}", number=error.errno or 0, hint=hint) from None
    return link


def _send(link: _socket.socket, record: bytes) -> None:
    try:
        link.send(record)
    except OSError:
        pass  # nothing can be done, and nobody told
