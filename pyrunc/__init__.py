"""pyrunc, a runtime for OCI containers and a tool for OCI images.

From Python the same things can be done as from the command line, without printing: `pyrunc.lifecycle` makes, starts
and runs containers, `pyrunc.manage` looks after those that there are. The names below are handed on when they are first
asked for, so that importing any part of pyrunc loads that part only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.lifecycle import create, execute, plan_for, run, start
    from pyrunc.manage import containers, delete, kill, pause, processes, resume, state
    from pyrunc.options import CreateOptions, ExecOptions
    from pyrunc.specs.errors import Failure, Invalid, PyruncError
    from pyrunc.update import update
    from pyrunc.version import VERSION as __version__

__all__ = [
    "CreateOptions",
    "ExecOptions",
    "Failure",
    "Invalid",
    "PyruncError",
    "__version__",
    "containers",
    "create",
    "delete",
    "execute",
    "kill",
    "pause",
    "plan_for",
    "processes",
    "resume",
    "run",
    "start",
    "state",
    "update",
]

_HOMES = {
    "pyrunc.lifecycle": ("create", "execute", "plan_for", "run", "start"),
    "pyrunc.manage": ("containers", "delete", "kill", "pause", "processes", "resume", "state"),
    "pyrunc.options": ("CreateOptions", "ExecOptions"),
    "pyrunc.update": ("update",),
    "pyrunc.specs.errors": ("Failure", "Invalid", "PyruncError"),
}


def __getattr__(name: str) -> object:
    import sys

    if name == "__version__":
        from pyrunc.version import VERSION

        return VERSION
    for home, names in _HOMES.items():
        if name in names:
            __import__(home)
            return getattr(sys.modules[home], name)
    raise AttributeError(f"module 'pyrunc' has no attribute {name!r}")
