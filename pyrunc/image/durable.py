"""Files that are whole or absent, whatever happens meanwhile: bytes to a file without a name, fsync, then the name.

Must never let a name be seen before the bytes behind it are verified and on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EEXIST, EISDIR, ENOENT, EOPNOTSUPP

from pyrunc.specs.errors import Failure

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
LEFTOVER = ".new-"  # begins the names of what a crash may leave behind
BATCH = 256  # files


def write(path: str, pieces: Iterable[bytes], replace: bool = False) -> None:
    """The file PATH out of PIECES, which raise when they are not what they should be. An existing one is replaced on
    REPLACE only, and then the new one is on the disk at the end; otherwise it is taken for the same, and its name is
    there after a power loss when the folder has been synced."""
    folder, name = os.path.split(path)
    try:
        handle = os.open(folder or ".", FOLDER)
        try:
            if replace:
                with _held(handle, [name]):
                    _write(handle, name, pieces, replace)
                    os.fsync(handle)
            else:
                _write(handle, name, pieces, replace)
        finally:
            os.close(handle)
    except OSError as error:
        raise Failure(f"write {path}", number=error.errno or 0) from error


def _write(folder: int, name: str, pieces: Iterable[bytes], replace: bool) -> None:
    temporary = f"{LEFTOVER}{os.getpid()}-{os.urandom(4).hex()}"
    unnamed = True
    try:
        fd = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=folder)
    except OSError as error:
        # File systems that cannot do it say so in each of these ways.
        if error.errno not in (EOPNOTSUPP, EISDIR, ENOENT):
            raise
        unnamed = False
        fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest) :]
        os.fsync(fd)
        if unnamed:
            try:
                _link(fd, temporary if replace else name, folder)
            except OSError as error:
                if replace or error.errno != EEXIST:
                    raise
                return
        if replace or not unnamed:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        if replace or not unnamed:
            _remove(temporary, folder)
        raise
    finally:
        os.close(fd)


def _link(fd: int, name: str, folder: int) -> None:
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder, follow_symlinks=True)


def _remove(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass


def remove(path: str, names: list[str]) -> None:
    """Removes files of the folder PATH, so that after a crash none of them is there but whole."""
    folder = os.open(path, FOLDER)
    try:
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            with _held(folder, batch):
                for name in batch:
                    _remove(name, folder)
                os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _held(folder: int, names: list[str]) -> Iterator[None]:
    """Keeps the files that these names have now, until it is on the disk that they have them no more. Some file systems
    (ext4 with data=writeback) give their room to others at once: after a power loss they would be there, overwritten.
    """
    with ExitStack() as stack:
        for name in names:
            try:
                fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except FileNotFoundError:
                continue
            stack.callback(os.close, fd)
        yield


def sync_all(path: str) -> None:
    """All that is on the file system of PATH is on the disk."""
    import ctypes

    fd = os.open(path, FOLDER)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(fd)


def sync(path: str) -> None:
    """The names in a folder are on the disk."""
    fd = os.open(path, FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
