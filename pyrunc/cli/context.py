"""What every command gets besides its own options: the global flags, worked out, and standard output. Hot path."""

from __future__ import annotations

import sys

from pyrunc.cli.options import SWITCH, TEXT
from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.log import Log
    from pyrunc.cli.options import Flag

GLOBAL_FLAGS: tuple[Flag, ...] = (
    ("debug", SWITCH, "log every step, and show where in the program an error comes from"),
    ("log", TEXT, 'where errors go: [file:]PATH, "journald:NAME" or "syslog:NAME" (default: standard error)'),
    ("log-format", TEXT, 'form of errors: "text" or "json" (default: "text")'),
    ("log-level", TEXT, 'what is logged: "error", "warning" or "debug" (default: "warning")'),
    ("root", TEXT, "folder that keeps the state of containers, best on a tmpfs (default: /run/pyrunc)"),
    ("systemd-cgroup", SWITCH, 'let systemd make the cgroup; cgroupsPath is then "slice:prefix:name"'),
    ("cgroup-manager", TEXT, 'who makes cgroups: "cgroupfs" (pyrunc), "systemd", or nobody: "disabled"'),
    ("rootless", TEXT, 'pass over errors of cgroup permissions: "true", "false" or "auto" (default: "auto")'),
    ("version, v", SWITCH, "print the version"),
    ("report-start", SWITCH, ""),  # from the front, see start.py
)


class Context:
    """The global flags. `root_given`: the caller names the folder himself."""

    __slots__ = ("cgroup_manager", "log", "root", "root_given", "rootless")

    def __init__(
        self,
        *,
        log: Log,
        root: str,
        root_given: bool = False,
        cgroup_manager: str = "cgroupfs",
        rootless: str = "auto",
    ) -> None:
        self.log = log
        self.root = root
        self.root_given = root_given
        self.cgroup_manager = cgroup_manager
        self.rootless = rootless


_failed: OSError | None = None  # what the first write that failed said; after it nothing more is written


def show(text: str) -> None:
    """Writes to standard output, which may be closed. What goes wrong is for `send` to say."""
    global _failed
    try:
        write = getattr(sys.stdout, "write", None)
        if write is not None and _failed is None:
            write(text)
    except OSError as error:
        _failed = error


def send() -> bool:
    """Sends out what was shown. False: nobody reads it any more, for he has what he wanted."""
    try:
        if _failed is not None:
            raise _failed
        flush = getattr(sys.stdout, "flush", None)
        if flush is not None:
            flush()
    except BrokenPipeError:
        return False
    except OSError as error:
        raise Failure("write to standard output", number=error.errno or 0) from None
    return True
