"""Reads archives as the applier does."""

from __future__ import annotations

from collections.abc import Iterator

from pyrunc.image.tarread import Entry, Reader


def pieces(data: bytes, size: int = 1 << 18) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read(data: bytes, size: int = 1 << 18) -> list[tuple[Entry, bytes]]:
    reader = Reader(pieces(data, size))
    return [(entry, b"".join(reader.body())) for entry in reader]


def one(data: bytes) -> Entry:
    [(entry, _)] = read(data)
    return entry
