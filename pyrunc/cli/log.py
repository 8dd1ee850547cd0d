"""Where errors and warnings go, in the records that engines read (those of Go's logrus). Hot path.

An error is one record, and the last thing that a failing command writes: containerd takes the last error of a JSON log,
conmon reads the whole file as one object. So nothing else may go there, and nothing from here to standard output, which
engines parse.
"""

from __future__ import annotations

import posix
import time

from pyrunc.record import quote
from pyrunc.specs.errors import Failure, PyruncError

STDERR = 2
FORMATS = ("text", "json")
LONGEST = 3000  # letters of a message: with what goes around it a record still is one write to a pipe

ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
ESCAPES |= {'"': '\\"', "\\": "\\\\"}


class Log:
    """The sink of one command."""

    __slots__ = ("debug", "fd", "format")

    def __init__(self, path: str = "", format: str = "text", debug: bool = False) -> None:
        if format not in FORMATS:
            raise PyruncError(f"invalid log-format: {format}", hint="text or json")
        self.format = format
        self.debug = debug
        try:
            flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC
            self.fd = posix.open(path, flags, 0o644) if path else STDERR
        except OSError as error:
            raise Failure(f"open the log {path}", number=error.errno or 0) from None

    def error(self, message: str, hint: str | None = None) -> None:
        """The one record of a failure. A person at a terminal also gets the hint; a log never does."""
        message = bounded(message)
        self._record("error", message)
        if self.fd != STDERR:
            write(STDERR, f"{message}\n")
        elif hint and self.format == "text":
            write(STDERR, f"  hint: {hint}\n")

    def warning(self, message: str) -> None:
        """Something was passed over. Not in a JSON file (see above), unless somebody is debugging and wants it all."""
        if self.debug or self.fd == STDERR or self.format == "text":
            self._record("warning", message)

    def _record(self, level: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.format == "json":
            line = f'{{"level":"{level}","msg":{quote(message)},"time":"{now}"}}\n'
        else:
            line = f'time="{now}" level={level} msg={go_quote(message)}\n'
        write(self.fd, line)


def bounded(message: str) -> str:
    """The message, but with its middle left out when some value in it has no end: what failed stands at its beginning,
    why at its end."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"


def go_quote(text: str) -> str:
    """A text as Go's `%q` writes it."""
    return '"' + "".join(_escape(letter) for letter in text) + '"'


def _escape(letter: str) -> str:
    if letter in ESCAPES:
        return ESCAPES[letter]
    code = ord(letter)
    if letter.isprintable():
        return letter
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, as Python carries it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def write(fd: int, text: str) -> None:
    """Writes a record at once, so that records of several processes in one file do not mix.

    Nothing can be done, and nobody told, when it cannot be written.
    """
    try:
        posix.write(fd, text.encode("utf-8", "backslashreplace" if fd == STDERR else "surrogateescape"))
    except OSError:
        pass
