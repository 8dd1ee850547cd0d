"""Folders to work in, on the file system of what they will become; gone when the work is done or has failed.

Who works in one holds a lock on it, so that what a crash has left is known by its being free: the next one who works
in the same place removes it. Must never remove a folder that is another user's, or in use.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pyrunc.image.folders import remove

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def workplace(folder: str, prefix: str) -> Iterator[str]:
    """A new folder in FOLDER, whose name begins with PREFIX; removed at the end, if it is still there."""
    sweep(folder, prefix)
    path, fd = _make(folder, prefix)
    try:
        yield path
    finally:
        try:
            if os.path.isdir(path):
                discard(path)
        finally:
            os.close(fd)


def _make(folder: str, prefix: str) -> tuple[str, int]:
    while True:
        path = tempfile.mkdtemp(prefix=prefix, dir=folder)
        try:
            fd = os.open(path, FOLDER)
        except FileNotFoundError:  # swept before it was locked, as below
            continue
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)


def sweep(folder: str, prefix: str) -> None:
    """Removes what crashes have left in FOLDER."""
    for path in leftovers(folder, prefix):
        try:
            discard(path)
        except OSError:
            continue  # the ids that its files belong to are there only in a user namespace


def leftovers(folder: str, prefix: str) -> Iterator[str]:
    """The caller's folders whose work ended in a crash, each locked while it is looked at."""
    for name in os.listdir(folder):
        if not name.startswith(prefix):
            continue
        path = os.path.join(folder, name)
        try:
            info = os.lstat(path)
            if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
                continue
            fd = os.open(path, FOLDER | os.O_NOFOLLOW)
        except OSError:
            continue  # somebody else was faster
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path
        except BlockingIOError:
            continue
        finally:
            os.close(fd)


def discard(path: str) -> None:
    """Removes a folder and all that is in it."""
    parent = os.open(os.path.dirname(path), FOLDER)
    try:
        remove(parent, os.fsencode(os.path.basename(path)))
    finally:
        os.close(parent)
