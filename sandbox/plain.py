"""Ordinary entries of a tar archive at the speed of C: native/plain.h for Python.

Must never be asked where anything but "make it, with this owner, mode and time" is wanted: it knows no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pyrunc.sandbox.native._plain import ffi, lib

if TYPE_CHECKING:
    from pyrunc.sandbox.native._plain import _Run

ROOM = 1 << 16  # bytes for the names of one run


class Maker:
    """Makes runs of entries; what it needs for that is made once for a layer. `run` is the last one."""

    def __init__(self) -> None:
        self.room = ffi.new(f"char[{ROOM}]")
        self.run = cast("_Run", ffi.new("struct plain_run *", {"folder": -1}))

    def make(self, folder: int, path: bytes, data: memoryview, needed: int = 0) -> int:
        """Makes the files and links of the folder PATH, whose fd is FOLDER, with which DATA begins, and the first
        folder that follows, if its mode has the bits NEEDED: its fd is `run.folder`.

        Returns how many bytes of DATA that were.
        """
        if b"\0" in path:
            raise ValueError("embedded null byte")  # C would take the part before it for the whole
        lib.plain_files(folder, path, needed, ffi.from_buffer(data), len(data), self.room, ROOM, self.run)
        return self.run.bytes

    def names(self) -> list[bytes]:
        """What the run has made."""
        return bytes(ffi.buffer(self.room, self.run.named)).split(b"\0")[:-1]

    def last(self) -> bytes:
        """What it has made last."""
        return bytes(ffi.buffer(self.room, self.run.named))[:-1].rpartition(b"\0")[2]
