"""Files that are whole or absent, whatever happens meanwhile: bytes to a file without a name, fsync, then the name.

Must never let a name be seen before the bytes behind it are verified and on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from errno import EEXIST, EISDIR, ENOENT, EOPNOTSUPP

from pyrunc.specs.errors import Failure

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
LEFTOVER = ".new-"  # begins the names of what a crash may leave behind


def write(path: str, pieces: Iterable[bytes], replace: bool = False) -> None:
    """The file PATH out of PIECES, which raise when they are not what they should be. An existing one is replaced on
    REPLACE only; otherwise it is taken for the same."""
    folder, name = os.path.split(path)
    try:
        handle = os.open(folder or ".", FOLDER)
        try:
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


def sync(path: str) -> None:
    """The names in a folder are on the disk."""
    fd = os.open(path, FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
