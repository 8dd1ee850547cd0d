"""The maps of sparse files: GNU's own in the header, and the three that pax has known (0.0, 0.1 and 1.0). Pure.

Regions are (offset, length) pairs. Must never hand out a map that overlaps, goes backwards, leaves the file or
differs from the bytes that are there.
"""

from __future__ import annotations

from pyrunc.image.fields import number, unsigned
from pyrunc.specs.errors import Invalid

LIMIT_REGIONS = 1 << 18
LIMIT_SIZE = 1 << 62

Regions = list[tuple[int, int]]


def checked(regions: Regions, stored: int, real_size: int) -> Regions:
    """REGIONS, if they describe STORED bytes of a file of REAL_SIZE."""
    end = total = 0
    for offset, length in regions:
        if offset < end or length < 0:
            raise Invalid("the map of a sparse file overlaps")
        end = offset + length
        total += length
    if end > real_size or not 0 <= real_size < LIMIT_SIZE:
        raise Invalid("the map of a sparse file goes beyond its end")
    if total != stored:
        raise Invalid(f"the map of a sparse file speaks of {total} bytes where {stored} are stored")
    return regions


def from_header(fields: bytes, more: int) -> tuple[Regions, bool]:
    """The pairs of a GNU header or of an extension block, and whether one more block follows."""
    regions = []
    for at in range(0, len(fields), 24):
        pair = fields[at : at + 24]
        if not pair.strip(b"\0 "):
            break
        regions.append((number(pair[:12], "offset"), number(pair[12:], "length")))
    return regions, more not in (0, 48)


def from_pax(records: list[tuple[bytes, bytes]], stored: int) -> tuple[Regions | None, int]:
    """The map in an extended header, and the file's size.

    Version 1.0 has its map at the start of the entry's bytes: then there is none yet.
    """
    values = dict(records)
    size = values.get(b"GNU.sparse.realsize") or values.get(b"GNU.sparse.size") or b""
    real_size = unsigned(size, "size of a sparse file")
    if real_size >= LIMIT_SIZE:
        raise Invalid("a sparse file of an impossible size")
    if values.get(b"GNU.sparse.major", b"0") == b"1":
        if values.get(b"GNU.sparse.minor") != b"0":
            raise Invalid("a sparse file of an unknown version")
        return None, real_size
    if b"GNU.sparse.map" in values:
        text = values[b"GNU.sparse.map"]
        numbers = [unsigned(item, "number of a sparse file's map") for item in text.split(b",")] if text else []
    else:
        numbers = _interleaved(records)
    if len(numbers) % 2:
        raise Invalid("the map of a sparse file has an odd number of numbers")
    regions = list(zip(numbers[::2], numbers[1::2], strict=True))
    return checked(regions, stored, real_size), real_size


def _interleaved(records: list[tuple[bytes, bytes]]) -> list[int]:
    """Version 0.0: one record for each offset and each length, in turn."""
    numbers: list[int] = []
    for key, value in records:
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            if (key == b"GNU.sparse.offset") != (len(numbers) % 2 == 0):
                raise Invalid("the map of a sparse file is out of order")
            numbers.append(unsigned(value, "number of a sparse file's map"))
    return numbers


def count(block: bytes) -> int:
    """How many regions the map has that begins in BLOCK (version 1.0: count, then pairs, a number a line)."""
    head, newline, _ = block.partition(b"\n")
    if not newline:
        raise Invalid("a sparse file without a map")
    regions = unsigned(head, "number of regions")
    if regions > LIMIT_REGIONS:
        raise Invalid(f"a sparse file of more than {LIMIT_REGIONS} regions")
    return regions


def from_body(text: bytes) -> Regions:
    """The map of which TEXT holds every line."""
    lines = text.split(b"\n")[1 : 1 + 2 * count(text)]
    numbers = [unsigned(line, "number of a sparse file's map") for line in lines]
    return list(zip(numbers[::2], numbers[1::2], strict=True))
