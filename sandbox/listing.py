"""What is in a folder, as rows of JSON at the speed of C: native/listing.h for Python.

Must never be asked what a row has to say: ordinary entries get the one that `pyrunc.image.inventory` writes itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from pyrunc.sandbox.native._plain import ffi, lib

if TYPE_CHECKING:
    from pyrunc.sandbox.native._plain import _Listing

ROOM = 1 << 18  # bytes for the rows of one part


class Lister:
    """Lists folders one after the other, also from within each other; UID and GID are written as 0."""

    def __init__(self, uid: int, gid: int) -> None:
        self.ids = uid, gid
        self.text = ffi.new(f"char[{ROOM}]")
        self.left = ffi.new("char[LISTING_ROOM]")
        self.listing = cast("_Listing", ffi.new("struct listing *"))

    def parts(self, folder: int, path: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
        """The entries of FOLDER (an fd), part by part: rows with commas between them, PATH before each name, and the
        names that need more, after "/" those of folders with a row, after "?" those that have none."""
        if b"\0" in path:
            raise ValueError("embedded null byte")  # C would take the part before it for the whole
        more = 1
        while more:
            more = lib.list_folder(folder, path, *self.ids, self.text, ROOM, self.left, self.listing)
            if more < 0:
                raise OSError(-more, os.strerror(-more))
            text = bytes(ffi.buffer(self.text, self.listing.text))[:-1]
            yield text, bytes(ffi.buffer(self.left, self.listing.left)).split(b"\0")[:-1]
