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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.sinks import Sink

STDERR = 2
FORMATS = ("text", "json")
LEVELS = ("error", "warning", "debug")
LONGEST = 3000  # letters of a message: with what goes around it a record still is one write to a pipe

ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
ESCAPES |= {'"': '\\"', "\\": "\\\\"}


class Log:
    """The sink of one command."""

    __slots__ = ("debug", "fd", "format", "level", "sink")

    def __init__(self, path: str = "", format: str = "text", level: str = "warning") -> None:
        if format not in FORMATS:
            raise PyruncError(f"invalid log-format: {format}", hint="text or json")
        if level not in LEVELS:
            raise PyruncError(f"invalid log-level: {level}", hint="error, warning or debug")
        self.format = format
        self.level = LEVELS.index(level)
        self.debug = level == "debug"
        self.sink: Sink | None = None
        self.fd = STDERR
        kind, _, name = path.partition(":")
        if kind in ("journald", "syslog"):
            from pyrunc.cli.sinks import open_sink

            self.sink = open_sink(kind, name)
            return
        path = path.removeprefix("file:")
        try:
            flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_CLOEXEC
            self.fd = posix.open(path, flags, 0o644) if path else STDERR
        except OSError as error:
            raise Failure(f"open the log {path}", number=error.errno or 0) from None

    def error(self, message: str, hint: str | None = None) -> None:
        """The one record of a failure. A person at a terminal also gets the hint; a log never does."""
        message = bounded(message)
        self._record("error", message)
        if self.fd != STDERR or self.sink is not None:
            write(STDERR, f"{message}\n")
        elif hint and self.format == "text":
            write(STDERR, f"  hint: {hint}\n")

    def says_bare(self, message: str) -> bool:
        """Writes a line that is no record, where standard error is all the log there is."""
        if self.fd != STDERR or self.sink is not None or self.format != "text":
            return False
        write(STDERR, f"{bounded(message)}\n")
        return True

    def warning(self, message: str) -> None:
        """Something was passed over. Not in a JSON file (see above), unless somebody is debugging and wants it all."""
        if self.level == 0:
            return
        if self.debug or self.fd == STDERR or self.format == "text":
            self._record("warning", message)

    def step(self, message: str) -> None:
        """What is being done: for whoever is debugging."""
        if self.debug:
            self._record("debug", bounded(message))

    def _record(self, level: str, message: str) -> None:
        if self.sink is not None:
            self.sink(level, message)
            return
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
