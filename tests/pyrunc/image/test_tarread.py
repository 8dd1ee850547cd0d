"""Archives are read to the byte: every format, every kind of number and name."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest

from pyrunc.image.tarread import Reader
from tests.pyrunc.image.reading import one, pieces, read
from tests.pyrunc.image.tars import (
    END,
    archive,
    binary,
    file,
    folder,
    header,
    long,
    padded,
    pax,
    symlink,
)


def test_nothing_at_all_is_an_empty_archive() -> None:
    """A stream of no bytes, or of zeros only, has no entries."""
    assert read(b"") == []
    assert read(END) == []
    assert read(bytes(10240)) == []


@pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 1 << 18])
def test_pieces_may_end_anywhere(size: int) -> None:
    """How the stream is cut makes no difference."""
    data = archive(file(b"a", b"x" * 1000), folder(b"d/"), pax((b"path", b"p" * 300)) + file(b"b", b"yz"))

    result = [(entry.name, body) for entry, body in read(data, size)]

    assert result == [(b"a", b"x" * 1000), (b"d/", b""), (b"p" * 300, b"yz")]


def test_what_nobody_reads_is_passed_over() -> None:
    """A reader that takes part of a body, or none, still finds the next header."""
    reader = Reader(pieces(archive(file(b"a", b"x" * 5000), file(b"b", b"yes")), 100))
    names = []
    for entry in reader:
        names.append(entry.name)
        if entry.name == b"a":
            next(reader.body())

    assert names == [b"a", b"b"]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_the_standard_library(format: int) -> None:
    """What another program wrote in each format is read as it was meant."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, kind in (("d", tarfile.DIRTYPE), ("d/" + "n" * 60 + "/" + "m" * 60, tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid, info.mode, info.mtime = kind, 1000, 2000, 0o4751, 1234567890
            info.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"abc"))

    (d, _), (f, body) = read(out.getvalue())

    assert (d.name.rstrip(b"/"), d.type) == (b"d", b"5")
    assert (f.name, f.type) == (b"d/" + b"n" * 60 + b"/" + b"m" * 60, b"0")
    assert (f.uid, f.gid, f.mode, f.mtime, body) == (1000, 2000, 0o4751, 1234567890 * 10**9, b"abc")


def test_old_v7_headers_have_no_prefix() -> None:
    """Without the ustar magic the bytes of the prefix mean nothing, and a name that ends in a slash is a folder."""
    [(first, _), (second, body)] = read(
        archive(header(b"d/", b"\0", magic=b"", prefix=b"no"), file(b"f", b"1", kind=b"\0", magic=b""))
    )

    assert (first.name, first.type) == (b"d/", b"5")
    assert (second.name, second.type, body) == (b"f", b"0", b"1")


def test_the_prefix_of_ustar_stands_before_the_name() -> None:
    """ustar parts long names at a slash."""
    assert one(archive(file(b"name", prefix=b"some/prefix"))).name == b"some/prefix/name"


def test_gnu_headers_have_no_prefix() -> None:
    """GNU tar keeps times where ustar has its prefix."""
    assert one(archive(file(b"name", magic=b"ustar  ", prefix=b"14000000000"))).name == b"name"


def test_star_keeps_times_behind_a_shorter_prefix() -> None:
    """Such headers are known by a magic of their own."""
    assert (
        one(archive(file(b"n", tail=b"p".ljust(131, b"\0") + b"14000000000 14000000000 " + bytes(8) + b"tar\0"))).name
        == b"p/n"
    )


def test_contiguous_files_are_files() -> None:
    """Type 7 is a file whose blocks were meant to lie together."""
    [(entry, body)] = read(archive(file(b"f", b"data", kind=b"7")))

    assert (entry.type, body) == (b"0", b"data")


def test_long_names_of_gnu() -> None:
    """L and K give the name and the link of the next entry alone."""
    data = archive(long(b"n" * 200) + long(b"t" * 300, b"K") + symlink(b"short", b"short"), symlink(b"b", b"c"))

    (first, _), (second, _) = read(data)

    assert (first.name, first.link) == (b"n" * 200, b"t" * 300)
    assert (second.name, second.link) == (b"b", b"c")


def test_pax_records_replace_fields() -> None:
    """Names, owners, times and attributes of an extended header win over the header."""
    entry = one(
        archive(
            pax(
                (b"path", b"\xc3\xa4"),
                (b"uid", b"70000"),
                (b"gid", b"80000"),
                (b"mtime", b"12.25"),
                (b"atime", b"-1.5"),
                (b"comment", b"x"),
                (b"SCHILY.xattr.user.a", b"1\x002"),
                (b"SCHILY.xattr.user.empty", b""),
                (b"LIBARCHIVE.xattr.user.%62", b"MTI"),
                (b"LIBARCHIVE.xattr.user.a", b"MTI="),
            )
            + file(b"x")
        )
    )

    assert (entry.name, entry.uid, entry.gid) == (b"\xc3\xa4", 70000, 80000)
    assert (entry.mtime, entry.atime) == (12_250_000_000, -1_500_000_000)
    assert entry.xattrs == {b"user.a": b"1\x002", b"user.empty": b"", b"user.b": b"12"}


def test_pax_records_are_for_the_next_entry_alone() -> None:
    """The entry after that has only its own header."""
    (_, _), (second, _) = read(archive(pax((b"uid", b"5")) + file(b"a"), file(b"b")))

    assert second.uid == 0


def test_global_records_are_for_all_entries() -> None:
    """A global header counts until another one, and an entry's own header wins over it."""
    data = archive(
        pax((b"uid", b"5"), (b"comment", b"hash"), kind=b"g") + file(b"a"), pax((b"uid", b"6")) + file(b"b"), file(b"c")
    )

    assert [entry.uid for entry, _ in read(data)] == [5, 6, 5]


def test_the_size_of_pax_decides_what_is_read_and_what_is_passed_over() -> None:
    """CVE-2025-62518: when the sizes differ, no entry may be found inside another one's bytes."""
    inner = padded(file(b"smuggled", b"evil"))
    data = archive(pax((b"size", str(len(inner)).encode())) + header(b"outer", size=0) + inner, file(b"after"))

    result = read(data)

    assert [entry.name for entry, _ in result] == [b"outer", b"after"]
    assert result[0][1] == inner


def test_the_size_of_pax_is_not_that_of_a_long_name() -> None:
    """CVE-2025-62518, its other half: an extended header describes the entry, not the headers in between."""
    data = archive(pax((b"size", b"3")) + long(b"n" * 150) + file(b"x", b"abc", size=0), file(b"after"))

    assert [(entry.name, body) for entry, body in read(data)] == [(b"n" * 150, b"abc"), (b"after", b"")]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_entries_without_a_body_have_none(kind: bytes) -> None:
    """The size field of links, folders and devices means nothing: what follows is the next header."""
    data = archive(header(b"a", kind, size=1024, link=b"t"), file(b"b"))

    assert [(entry.name, entry.size) for entry, _ in read(data)] == [(b"a", 0), (b"b", 0)]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_entries_without_a_body_have_none_by_pax_either(kind: bytes) -> None:
    """A size in an extended header gives no bytes to a link."""
    data = archive(pax((b"size", b"1024")) + header(b"a", kind, link=b"t"), file(b"b"))

    assert [(entry.name, entry.size) for entry, _ in read(data)] == [(b"a", 0), (b"b", 0)]


def test_numbers_in_base_256() -> None:
    """What octal digits cannot say is read in binary, negative times too."""
    data = file(b"f", b"abc", size=binary(3, 12), uid=binary(3_000_000, 8), mtime=-5, gid=2097151)

    entry = one(archive(data))

    assert (entry.size, entry.uid, entry.gid, entry.mtime) == (3, 3_000_000, 2097151, -5 * 10**9)


@pytest.mark.parametrize("field", [b"   644 \0", b"0000644\0", b"644", b"644     ", b"00000644"])
def test_numbers_as_old_programs_wrote_them(field: bytes) -> None:
    """Spaces and NULs stand around digits in many ways."""
    assert one(archive(file(mode=field))).mode == 0o644


def test_checksums_of_signed_bytes() -> None:
    """Some old programs added up signed bytes."""
    block = bytearray(header(b"\xe4\xf6"))
    block[148:156] = b" " * 8
    total = sum(byte - 256 if byte > 127 else byte for byte in block)

    assert one(archive(header(b"\xe4\xf6", checksum=b"%06o\0 " % total))).name == b"\xe4\xf6"


def test_an_archive_may_end_without_its_end_marker() -> None:
    """The end of the stream at a header's place is an end."""
    assert one(file(b"a", b"x")).name == b"a"


def test_zeros_and_other_bytes_after_the_end_are_read_to_the_end() -> None:
    """The whole stream is drained: the digest is that of all of it."""
    taken: list[int] = []

    def watched() -> Iterator[bytes]:
        for piece in pieces(archive(file(b"a")) + bytes(9000) + b"rest", 512):
            taken.append(len(piece))
            yield piece

    assert len(list(Reader(watched()))) == 1
    assert sum(taken) == 512 + 1024 + 9000 + 4
