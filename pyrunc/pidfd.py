"""Hands a pidfd of a new process to whoever listens on a socket: --pidfd-socket, and crun's annotation for it. Only
loaded when somebody asks for one.

runc's protocol: one message, "standard" for a container's init or "setns" for an exec, the pidfd by SCM_RIGHTS.
"""

from __future__ import annotations

import _socket
import posix

from pyrunc.console import connect
from pyrunc.specs.errors import Failure


class Receivers:
    """Those who wait for a pidfd, by the paths of their sockets. Connected before anything is made: nothing has to be
    undone when one of them is not there."""

    def __init__(self, *paths: str) -> None:
        self.links: list[tuple[str, _socket.socket]] = []
        for path in paths:
            if not path:
                continue
            try:
                self.links.append((path, connect(path)))
            except OSError as error:
                raise _failure(path, error) from None

    def send(self, pid: int, kind: str) -> None:
        """Sends a pidfd of `pid`, a child of ours that nobody has reaped: it is that process and no other."""
        for path, link in self.links:
            try:
                pidfd = posix.pidfd_open(pid)
                rights = pidfd.to_bytes(4, "little")
                try:
                    link.sendmsg([kind.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
                finally:
                    posix.close(pidfd)
            except OSError as error:
                raise _failure(path, error) from None
            finally:
                link.close()


def _failure(path: str, error: OSError) -> Failure:
    return Failure(f"send a pidfd to {path}", number=error.errno or 0, hint="is a receiver listening on that socket?")
