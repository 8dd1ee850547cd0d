"""Sockets that the service manager passes on, as sd_listen_fds(3) has it. Loaded where LISTEN_FDS is set."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.runtime import Process


def hand_on(process: Process) -> int:
    """How many were passed to us, from 3 on and before those of --preserve-fds. The process is told that they are its
    own, its pid being 1 for `exec` too, as runc has it."""
    environment = posix.environ
    count = environment[b"LISTEN_FDS"]
    ours = environment.get(b"LISTEN_PID") == str(posix.getpid()).encode()
    if not ours or not count.isdigit() or not int(count):
        return 0
    process.env += (f"LISTEN_FDS={int(count)}", "LISTEN_PID=1")
    return int(count)
