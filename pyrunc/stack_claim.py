"""Who may change a stacked bundle: one container at a time, because two stacks on one `upper` lose each other's files.

The file `container` in the folder of the option `workdir` has the pid of the init that is at work and its start time;
a lock on it is held from when it is read until it is written. Only loaded for stacked bundles. Must never refuse
because of a container that has ended, however it did.
"""

from __future__ import annotations

import posix
from fcntl import LOCK_EX, LOCK_NB, flock

from pyrunc.sandbox.compile.stacked_root import folders
from pyrunc.specs.errors import Failure
from pyrunc.store import start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.bundle import Bundle


class Claim:
    """A bundle that is ours to be used. Raises Failure when it is somebody's."""

    def __init__(self, bundle: Bundle) -> None:
        mount = bundle.spec.mounts[0]
        path = folders(mount, bundle.path)["workdir"][0] + "/container"
        try:
            self.fd = posix.open(path, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW | posix.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Failure(f"open {path}", mount.pointer, error.errno or 0) from None
        try:
            flock(self.fd, LOCK_EX | LOCK_NB)
            words = posix.read(self.fd, 64).split()
            busy = len(words) == 2 and start_time(int(words[0])) == int(words[1])
        except BlockingIOError:
            busy = True
        if busy:
            self.close()
            raise Failure(
                f"use the stack of {bundle.path}", mount.pointer, detail="another container is at work in it",
                hint="unpack the image once more: bundles share its layers",
            )  # fmt: skip

    def write(self, pid: int, start: int) -> None:
        """From here on it is the container's with this init."""
        posix.ftruncate(self.fd, 0)
        posix.pwrite(self.fd, f"{pid} {start}".encode(), 0)
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            posix.close(self.fd)
            self.fd = -1
