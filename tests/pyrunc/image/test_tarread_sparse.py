"""Sparse files in all their formats, and maps that lie."""

from __future__ import annotations

import pytest

from pyrunc.specs.errors import Invalid
from tests.pyrunc.image.reading import read
from tests.pyrunc.image.tars import (
    archive,
    file,
    header,
    padded,
    pax,
)


def gnu_sparse(*regions: tuple[int, int], more: bool = False, size: int) -> bytes:
    text = b"".join(b"%011o\0%011o\0" % pair for pair in regions).ljust(96, b"\0")
    return bytes(41) + text + (b"\1" if more else b"\0") + b"%011o\0" % size


def test_gnu_sparse_files() -> None:
    """The map in the header says where the bytes belong."""
    data = archive(
        file(b"s", b"abcdef", kind=b"S", magic=b"ustar  ", tail=gnu_sparse((512, 3), (2048, 3), size=4096)),
        file(b"next"),
    )

    (entry, body), (after, _) = read(data)

    assert (entry.type, entry.regions, entry.real_size, body) == (b"0", [(512, 3), (2048, 3)], 4096, b"abcdef")
    assert after.name == b"next"


def test_gnu_sparse_files_with_more_regions_than_fit() -> None:
    """Extension blocks stand between the header and the bytes."""
    first = tuple((i * 10, 1) for i in range(4))
    second = b"".join(b"%011o\0%011o\0" % (i * 10, 1) for i in range(4, 25))
    third = b"".join(b"%011o\0%011o\0" % (i * 10, 1) for i in range(25, 27))
    data = archive(
        header(b"s", b"S", size=27, magic=b"ustar  ", tail=gnu_sparse(*first, more=True, size=1000))
        + second.ljust(504, b"\0")
        + b"\1".ljust(8, b"\0")
        + third.ljust(512, b"\0")
        + padded(b"x" * 27),
        file(b"next"),
    )

    (entry, body), (after, _) = read(data)

    assert entry.regions == [(i * 10, 1) for i in range(27)]
    assert (len(body), after.name) == (27, b"next")


SPARSE_00 = (
    (b"GNU.sparse.size", b"100"),
    (b"GNU.sparse.numblocks", b"2"),
    (b"GNU.sparse.offset", b"10"),
    (b"GNU.sparse.numbytes", b"2"),
    (b"GNU.sparse.offset", b"50"),
    (b"GNU.sparse.numbytes", b"4"),
)
SPARSE_01 = ((b"GNU.sparse.size", b"100"), (b"GNU.sparse.name", b"real"), (b"GNU.sparse.map", b"10,2,50,4"))
SPARSE_10 = (
    (b"GNU.sparse.major", b"1"),
    (b"GNU.sparse.minor", b"0"),
    (b"GNU.sparse.name", b"real"),
    (b"GNU.sparse.realsize", b"100"),
)


@pytest.mark.parametrize(
    ("records", "data", "name"),
    [
        (SPARSE_00, b"abcdef", b"placeholder"),
        (SPARSE_01, b"abcdef", b"real"),
        (SPARSE_10, padded(b"2\n10\n2\n50\n4\n") + b"abcdef", b"real"),
    ],
    ids=["0.0", "0.1", "1.0"],
)
def test_pax_sparse_files(records: tuple[tuple[bytes, bytes], ...], data: bytes, name: bytes) -> None:
    """All three versions give the same regions, size and bytes."""
    result = read(archive(pax(*records) + file(b"placeholder", data), file(b"next")))

    [(entry, body), (after, _)] = result

    assert (entry.name, entry.regions, entry.real_size, body) == (name, [(10, 2), (50, 4)], 100, b"abcdef")
    assert after.name == b"next"


def test_a_map_of_many_blocks() -> None:
    """The map of version 1.0 may be longer than a block."""
    text = b"300\n" + b"".join(b"%d\n1\n" % (i * 2) for i in range(300))
    data = archive(pax(*SPARSE_10[:3], (b"GNU.sparse.realsize", b"600")) + file(b"s", padded(text) + b"x" * 300))

    [(entry, body)] = read(data)

    assert entry.regions == [(i * 2, 1) for i in range(300)]
    assert len(body) == 300


@pytest.mark.parametrize(
    ("records", "data"),
    [
        ((*SPARSE_01[:2], (b"GNU.sparse.map", b"10,2,11,4")), b"abcdef"),
        ((*SPARSE_01[:2], (b"GNU.sparse.map", b"50,4,10,2")), b"abcdef"),
        ((*SPARSE_01[:2], (b"GNU.sparse.map", b"10,2,99,4")), b"abcdef"),
        ((*SPARSE_01[:2], (b"GNU.sparse.map", b"10,2,50")), b"abcdef"),
        ((*SPARSE_01[:2], (b"GNU.sparse.map", b"10,-2,50,8")), b"abcdef"),
        (SPARSE_01, b"abcde"),
        (SPARSE_01, b"abcdefg"),
        (SPARSE_01[1:], b"abcdef"),
        ((SPARSE_00[0], SPARSE_00[3], SPARSE_00[2]), b"ab"),
        ((*SPARSE_10[:1], (b"GNU.sparse.minor", b"7"), *SPARSE_10[2:]), padded(b"0\n")),
        (SPARSE_10, padded(b"x\n")),
        (SPARSE_10, b""),
        (SPARSE_10, bytes(512)),
        (SPARSE_10, padded(b"2\n10\n2\n")),
        (SPARSE_10, padded(b"99999999\n")),
        (SPARSE_10, padded(b"1\n99\n2\n") + b"ab"),
        ((*SPARSE_10[:3], (b"GNU.sparse.realsize", b"9" * 20)), padded(b"0\n")),
    ],
)
def test_maps_that_lie_are_refused(records: tuple[tuple[bytes, bytes], ...], data: bytes) -> None:
    """Overlaps, gaps backwards, ends beyond the file, sums that are not right."""
    with pytest.raises(Invalid):
        read(archive(pax(*records) + file(b"s", data)))


def test_a_gnu_map_that_lies_is_refused() -> None:
    """The old map is checked like the others."""
    with pytest.raises(Invalid, match="beyond its end"):
        read(archive(file(b"s", b"abc", kind=b"S", magic=b"ustar  ", tail=gnu_sparse((512, 3), size=514))))
