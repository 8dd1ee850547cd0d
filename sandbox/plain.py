"""Ordinary files out of a tar archive at the speed of C: native/plain.h for Python.

Must never be asked where anything but "make it, with this owner, mode and time" is wanted: it knows no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pyrunc.sandbox.native._plain import ffi, lib

if TYPE_CHECKING:
    from pyrunc.sandbox.native._plain import _Run

ROOM = 1 << 16  # bytes for the names of one run


class Maker:
    """Makes runs of files; what it needs for that is made once for a layer."""

    def __init__(self) -> None:
        self.names = ffi.new(f"char[{ROOM}]")
        self.run = cast("_Run", ffi.new("struct plain_run *"))

    def make(self, folder: int, path: bytes, data: memoryview) -> tuple[int, list[bytes]]:
        """Makes the files of the folder PATH, whose fd is FOLDER, with which DATA begins.

        Returns how many bytes of DATA that were, and the names.
        """
        if b"\0" in path:
            raise ValueError("embedded null byte")  # C would take the part before it for the whole
        run = self.run
        lib.plain_files(folder, path, ffi.from_buffer(data), len(data), self.names, ROOM, run)
        return run.bytes, bytes(ffi.buffer(self.names, run.named)).split(b"\0")[:-1]
