"""The beginning of a blob whose transfer was cut off, kept in the layout's folder with the digest in its name, so that
the next attempt goes on behind it. `gc` removes it, like everything else that a crash may leave there.

Its bytes count for nothing: they are hashed once more with the rest. Who adds to it holds a lock on it; whoever wants
the same blob meanwhile fetches it for himself. Must never get the name of the blob before all of it is verified.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from itertools import chain

from pyrunc.image import durable
from pyrunc.image.stream import PIECE, verified
from pyrunc.image.transport import Interrupted
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import Descriptor

WORTH = 1 << 20  # bytes; what is smaller is fetched again


class Partial:
    """A file with the first START bytes of a blob. The handle is ours and locked."""

    __slots__ = ("fd", "path", "start")

    def __init__(self, path: str, fd: int, start: int) -> None:
        self.path = path
        self.fd = fd
        self.start = start

    def complete(self, descriptor: Descriptor, pieces: Iterator[bytes], target: str) -> None:
        """Adds PIECES, which go on behind `start`. The file gets the name TARGET when it is the blob; when PIECES fail
        it stays for the next attempt."""
        what = f"the blob {descriptor.digest}"
        try:
            total = 0
            for piece in verified(chain(self._kept(), pieces), descriptor.digest, descriptor.size, what):
                total += len(piece)
                if total > self.start:
                    self._append(piece)
            os.fsync(self.fd)
            os.rename(self.path, target)
        except Invalid as error:
            os.unlink(self.path)
            if self.start == 0:
                raise
            raise Interrupted(f"go on with {descriptor.digest}", detail=error.message) from error
        except OSError as error:
            os.unlink(self.path)  # it may be what has filled the disk
            raise Failure(f"write {target}", number=error.errno or 0) from error
        except BaseException:
            if os.fstat(self.fd).st_size < WORTH:
                os.unlink(self.path)
            raise
        finally:
            self.close()

    def _kept(self) -> Iterator[bytes]:
        for position in range(0, self.start, PIECE):
            yield os.pread(self.fd, min(PIECE, self.start - position), position)

    def _append(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self.fd, rest) :]

    def close(self) -> None:
        os.close(self.fd)


def find(folder: str, descriptor: Descriptor) -> Partial | None:
    """What is kept of a blob in FOLDER, or a new file; None where it would not be worth it, or somebody is at it."""
    if descriptor.size < WORTH:
        return None
    # Not among the blobs, where other tools take every name for a digest (`umoci gc`).
    path = os.path.join(folder, durable.LEFTOVER + descriptor.digest.partition(":")[2])
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644)
    except OSError:
        return None  # why nothing can be written there is said when the blob is
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        info = os.fstat(fd)
        # Whoever had the lock before may have given the file its name, or removed it.
        if stat.S_ISREG(info.st_mode) and os.path.samestat(os.lstat(path), info):
            # Not all of it, because there is no asking for what follows the last byte.
            start = min(info.st_size, descriptor.size - 1)
            os.ftruncate(fd, start)
            return Partial(path, fd, start)
    except OSError:
        pass
    os.close(fd)
    return None
