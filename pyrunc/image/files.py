"""Files by name, out of a folder or out of an archive: where the documents and blobs of an image come from.

Archives are read with tarsafe and never extracted: a blob is streamed from its place in the archive. Only plain
files count. The links of old docker archives are looked up by name among the members, so that none can lead
anywhere else.
Must never believe what it hands out: sizes and digests are checked by whoever knows them.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, RawIOBase
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from pyrunc.specs.errors import Failure, Invalid

if TYPE_CHECKING:
    from tarfile import TarInfo

LIMIT_DOCUMENT = 8 << 20  # bytes of an index, a manifest or a config
LIMIT_MEMBERS = 100_000
LIMIT_LINKS = 8


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What is wrong with a document is said with its name."""
    try:
        yield
    except Invalid as error:
        error.message = f"{name}: {error.message}"
        raise


class Store(Protocol):
    """Files by name."""

    def open(self, name: str) -> tuple[IO[bytes], int]:
        """The file and its size; FileNotFoundError when there is none."""

    def close(self) -> None: ...


def document(store: Store, name: str) -> bytes:
    """The whole of a small file."""
    file, size = store.open(name)
    with file:
        if size > LIMIT_DOCUMENT:
            raise Invalid(f"{name} is larger than {LIMIT_DOCUMENT} bytes")
        return file.read(LIMIT_DOCUMENT + 1)


def regular(path: str, name: str) -> tuple[BinaryIO, int]:
    """A regular file and its size."""
    # Non-blocking, because a fifo would hang us before we could see what it is.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        os.close(fd)
        raise Invalid(f"{name} is not a regular file")
    return open(fd, "rb", buffering=0), info.st_size


class Folder:
    """The files of a folder. Links are followed, since layouts may share blobs: contents are known by their digest."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = -1
        if not os.path.isdir(path):
            raise Failure(f"read the image layout {path}", detail="there is no such folder")

    def hold(self) -> None:
        """Until it is closed nobody collects garbage in it: a name may mean another image by the time we get there."""
        try:
            self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self.lock, fcntl.LOCK_SH)
        except OSError:
            pass  # not everything that can be read can be locked

    def open(self, name: str) -> tuple[BinaryIO, int]:
        return regular(os.path.join(self.path, name), name)

    def close(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    __del__ = close  # who forgets it and collects garbage himself would wait for himself


@contextmanager
def unpacking() -> Iterator[None]:
    """What is wrong with a compressed archive comes to light only when it is read."""
    import zlib
    from gzip import BadGzipFile

    try:
        yield
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise Invalid(f"the archive is damaged: {error}") from None


class Member(RawIOBase):
    """SIZE bytes from START on of FILE, which is read by nobody else."""

    def __init__(self, file: BufferedIOBase | RawIOBase, start: int, size: int) -> None:
        self.file = file
        self.start = start
        self.end = start + size
        with unpacking():
            file.seek(start)

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """To OFFSET from the beginning."""
        with unpacking():
            return self.file.seek(self.start + offset) - self.start

    def readinto(self, buffer: Any, /) -> int:
        with unpacking():
            room = max(0, self.end - self.file.tell())
            return self.file.readinto(memoryview(buffer)[:room]) or 0

    def close(self) -> None:
        self.file.close()
        super().close()


class Archive:
    """The files of a tar archive, which may be gzipped as a whole."""

    def __init__(self, path: str) -> None:
        import tarfile

        from tarsafe import TarSafe

        self.path = path
        try:
            self.file = regular(path, path)[0]
            self.gzipped = self.file.read(2) == b"\x1f\x8b"
        except OSError as error:
            raise Failure(f"read the archive {path}", number=error.errno or 0) from error
        try:
            self.tar: tarfile.TarFile = TarSafe.open(path, "r:gz" if self.gzipped else "r:")
            self.members = self._members()
        except BaseException as error:
            self.file.close()
            # Errors of any class, because tarfile does not check much of what it reads.
            if isinstance(error, Exception) and not isinstance(error, Invalid):
                raise Invalid(f"{path} is not a whole archive: {error}") from None
            raise

    def _members(self) -> dict[str, TarInfo]:
        """Every plain file and link by its name without "./"; of two with one name the last, as if it were unpacked."""
        members: dict[str, TarInfo] = {}
        end = -1
        while (member := self.tar.next()) is not None:
            # An archive that leads back to a place before would never end (CVE-2025-8194).
            if member.offset <= end or member.size < 0 or len(members) >= LIMIT_MEMBERS:
                raise Invalid(f"{self.path} has a damaged or too large directory")
            end = member.offset
            if (member.isreg() and not member.issparse()) or member.islnk() or member.issym():
                members[os.path.normpath(member.name)] = member
        return members

    def open(self, name: str) -> tuple[IO[bytes], int]:
        name = os.path.normpath(name)
        for _ in range(LIMIT_LINKS):
            member = self.members.get(name)
            if member is None:
                raise FileNotFoundError(name)
            if member.isreg():
                return cast(IO[bytes], Member(self._again(), member.offset_data, member.size)), member.size
            above = os.path.dirname(name) if member.issym() else ""
            name = os.path.normpath(os.path.join(above, member.linkname))
        raise Invalid(f"{name} is behind too many links")

    def _again(self) -> BufferedIOBase | RawIOBase:
        """The archive with a position of its own, because layers are read by several threads."""
        path = f"/proc/self/fd/{self.file.fileno()}"
        if self.gzipped:
            import gzip

            return gzip.open(path)
        return open(path, "rb", buffering=0)

    def close(self) -> None:
        self.tar.close()
        self.file.close()
