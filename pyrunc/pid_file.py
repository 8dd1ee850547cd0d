"""The file with the process id that engines poll for. Hot path; must not know whose process it is."""

from __future__ import annotations

import posix

from pyrunc.specs.errors import Failure
from pyrunc.store import absolute


def write_pid_file(path: str, pid: int) -> None:
    """The pid as decimal text without a newline, whole or not at all (engines poll for it)."""
    path = absolute(path)
    folder, _, name = path.rpartition("/")
    text = str(pid).encode()
    try:
        directory = posix.open(folder or "/", posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
        try:
            if not _write_special(directory, name, text) and not _link_file(directory, name, text):
                _rename_file(directory, name, text)
        finally:
            posix.close(directory)
    except OSError as error:
        raise Failure(f"write the pid file {path}", number=error.errno or 0) from None


def _write_special(directory: int, name: str, content: bytes) -> bool:
    """Writes into what is no file, such as /dev/null or a fifo, or a link to one (/dev/stdout): nothing of ours may
    take its place. False where there is no such thing."""
    try:
        kind = posix.stat(name, dir_fd=directory).st_mode & 0o170000
    except FileNotFoundError:
        return False
    if kind == 0o100000:  # S_IFREG
        return False
    # Non-blocking, because the reader of a fifo may never come.
    fd = posix.open(name, posix.O_WRONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC, dir_fd=directory)
    try:
        posix.write(fd, content)
    finally:
        posix.close(fd)
    return True


def _link_file(directory: int, name: str, content: bytes) -> bool:
    """Makes a file that has no name before it is whole: killed at any moment, nothing is left of it. False where the
    file system does not know such files."""
    try:
        fd = posix.open(".", posix.O_TMPFILE | posix.O_WRONLY | posix.O_CLOEXEC, 0o666, dir_fd=directory)
    except OSError as error:
        if error.errno in (21, 95):  # EISDIR, EOPNOTSUPP
            return False
        raise
    try:
        posix.write(fd, content)
        source = f"/proc/self/fd/{fd}"
        try:
            posix.link(source, name, dst_dir_fd=directory)
        except FileExistsError:
            posix.unlink(name, dir_fd=directory)
            posix.link(source, name, dst_dir_fd=directory)
    finally:
        posix.close(fd)
    return True


def _rename_file(directory: int, name: str, content: bytes) -> None:
    hidden = f".{name}"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
    fd = posix.open(hidden, flags, 0o666, dir_fd=directory)
    try:
        posix.write(fd, content)
    finally:
        posix.close(fd)
    posix.rename(hidden, name, src_dir_fd=directory, dst_dir_fd=directory)
