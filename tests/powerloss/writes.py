"""The log of every write to a disk, as QEMU's `blklogwrites` (and the kernel's dm-log-writes) keeps it, and the disk as
a power loss after any of them may leave it.

    super block: magic, version, number of entries, bytes a sector       little-endian, 64 bits, the last one 32
    entry: sector, how many, flags, 0, then to the end of the sector nothing; after it the data, but for discards

What was written before the last flush is on the disk. Of what came after it a drive may have written any part.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from random import Random
from typing import NamedTuple

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4
PIECE = 1 << 20


class Write(NamedTuple):
    offset: int  # on the disk
    size: int
    flags: int
    place: int  # of the data in the log


class Log:
    """The file at PATH, while it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes: list[Write] = []
        self.sector = self.end = 0

    def read(self) -> int:
        """How many writes there are by now."""
        with self.path.open("rb") as file:
            if not self.end:
                magic, version, _, self.sector = struct.unpack("<QQQI", file.read(28))
                assert (magic, version) == (MAGIC, 1)
                self.end = self.sector
            while True:
                file.seek(self.end)
                first, count, flags, _ = struct.unpack("<QQQQ", file.read(32).ljust(32, b"\0"))
                if not count and not flags:
                    return len(self.writes)
                size = count * self.sector
                self.writes.append(Write(first * self.sector, size, flags, self.end + self.sector))
                self.end += self.sector + (0 if flags & DISCARD else size)


class Replay:
    """The disk after more and more of the writes of LOG; DISK is how it began, and is changed."""

    def __init__(self, log: Log, disk: Path) -> None:
        self.log = log
        self.disk = disk
        self.done = 0  # writes that are on the disk for certain

    def after(self, number: int, copy: Path, random: Random | None = None) -> None:
        """Makes COPY the disk on which the power was lost after NUMBER writes, of which with RANDOM some that were not
        flushed are missing."""
        writes = self.log.writes[:number]
        flushed = max((at + 1 for at, write in enumerate(writes) if write.flags & FLUSH), default=0)
        with self.log.path.open("rb") as log:
            with self.disk.open("r+b") as disk:
                for write in writes[self.done : flushed]:
                    apply(write, log.fileno(), disk.fileno())
            self.done = max(self.done, flushed)
            copy_sparse(self.disk, copy)
            with copy.open("r+b") as disk:
                for write in writes[flushed:]:
                    if random is None or random.random() < 0.5:
                        apply(write, log.fileno(), disk.fileno())


def apply(write: Write, log: int, disk: int) -> None:
    if not write.flags & DISCARD:
        os.pwrite(disk, os.pread(log, write.size, write.place), write.offset)


def copy_sparse(source: Path, target: Path) -> None:
    """Like cp --sparse=always."""
    with source.open("rb") as read, target.open("wb") as made:
        while piece := read.read(PIECE):
            if piece.count(0) == len(piece):
                made.seek(len(piece), os.SEEK_CUR)
            else:
                made.write(piece)
        made.truncate()
