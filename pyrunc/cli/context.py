"""What every command gets besides its own options: the global flags, worked out. Hot path."""

from __future__ import annotations

import sys

from pyrunc.cli.options import SWITCH, TEXT

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


def show(text: str) -> None:
    """Writes to standard output, which may be closed."""
    if sys.stdout is not None:
        sys.stdout.write(text)
