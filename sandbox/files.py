"""Files below a root, by handle: the path layer of native/path.h for Python.

Every function takes a root folder's fd and a path below it, which it resolves as if that root were "/": neither
"..", nor a symbolic link, nor a magic link leads out. What comes back is a new fd that the caller owns. Errors are
OSError.
Must never take a path relative to the working directory, and never change anything of the whole process.
"""

from __future__ import annotations

import os

from pyrunc.sandbox.native._files import ffi, lib


def open_in_root(root: int, path: bytes, flags: int) -> int:
    """Opens PATH; symbolic links lead to where they would below ROOT, the last one too."""
    return _checked(lib.path_open(root, _text(path), flags), path)


def open_nolinks(root: int, path: bytes, flags: int) -> int:
    """Opens PATH; any symbolic link in it is ELOOP."""
    return _checked(lib.path_open_nolinks(root, _text(path), flags), path)


def parent(root: int, path: bytes) -> tuple[int, bytes]:
    """The folder that holds the last component of PATH, and that component, which is not followed."""
    last = ffi.new("char[256]")
    fd = _checked(lib.path_parent(root, _text(path), last), path)
    return fd, ffi.string(last)


def make_folders(root: int, path: bytes, mode: int) -> int:
    """Opens folder PATH (O_PATH) and makes with MODE, less the umask, what is missing of it."""
    return _checked(lib.path_make_folders(root, _text(path), mode), path)


def _text(path: bytes) -> bytes:
    # C would take the part before a NUL for the whole name.
    if b"\0" in path:
        raise ValueError("embedded null byte")
    return path


def _checked(result: int, path: bytes) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result), os.fsdecode(path))
    return result
