"""What is not a well-formed archive is refused, and nothing crashes the reader."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunc.specs.errors import Invalid
from tests.pyrunc.image.reading import read
from tests.pyrunc.image.tars import (
    END,
    archive,
    file,
    hardlink,
    header,
    long,
    padded,
    pax,
    raw_pax,
    symlink,
)
from tests.pyrunc.image.test_tarread_sparse import SPARSE_10, gnu_sparse

BAD: dict[str, tuple[bytes, str]] = {
    "checksum": (archive(header(checksum=b"000000\0 ")), "checksum"),
    "garbage": (b"\x7fELF" + b"x" * 2000, "checksum"),
    "cut in a header": (file(b"a")[:300], "within a header"),
    "cut in a body": (file(b"a", b"x" * 600)[:1000], "within an entry"),
    "cut in the padding": (file(b"a", b"x")[:600], "within an entry"),
    "cut in an extended header": (pax((b"path", b"x" * 600))[:700], "within an entry"),
    "extended header last": (archive(pax((b"path", b"x"))), "next entry"),
    "long name last": (archive(long(b"x")), "next entry"),
    "two extended headers": (archive(pax((b"uid", b"1")) + pax((b"uid", b"2")) + file()), "two extended"),
    "two long names": (archive(long(b"x") + long(b"y") + file()), "unknown type"),
    "one zero block in the middle": (file(b"a") + bytes(512) + file(b"b") + END, "follows the end"),
    "unknown type": (archive(header(b"a", b"Z")), "unknown type"),
    "no name": (archive(header(b"")), "without a name"),
    "negative size": (archive(header(size=-1)), "negative size"),
    "size as text": (archive(header(size=b"12x")), "no size"),
    "octal with 8": (archive(header(mode=b"0000648")), "no mode"),
    "number with a sign": (archive(header(size=b"-1")), "no size"),
    "number with an underscore": (archive(header(uid=b"1_0")), "no uid"),
    "number with 0o": (archive(header(gid=b"0o17")), "no gid"),
    "name in NULs": (archive(long(b"a\0b") + file()), "long name"),
    "name too long": (archive(pax((b"path", b"x" * 4097)) + file()), "more than 4096"),
    "long name too long": (archive(long(b"x" * 5000) + file()), "a long name of 5001"),
    "long name of nothing": (archive(header(b"L", b"L", size=0) + file()), "a long name of 0"),
    "link too long": (archive(pax((b"linkpath", b"x" * 4097)) + symlink(b"a", b"b")), "more than 4096"),
    "extended header too large": (archive(raw_pax(b"x" * (1 << 20) + b"x") + file()), "extended header of"),
    "negative extended header": (archive(header(b"x", b"x", size=-512) + file()), "extended header of"),
    "record without a length": (archive(raw_pax(b"path=x\n") + file()), "no length"),
    "record of length 0": (archive(raw_pax(b"0 a=b\n") + file()), "no length"),
    "record with a leading zero": (archive(raw_pax(b"07 a=b\n") + file()), "no length"),
    "record with a sign": (archive(raw_pax(b"+7 a=b\n") + file()), "no length"),
    "record too long": (archive(raw_pax(b"99 path=x\n") + file()), "malformed"),
    "record too short": (archive(raw_pax(b"8 path=x\n") + file()), "malformed"),
    "record in itself": (archive(raw_pax(b"1 a=b\n") + file()), "malformed"),
    "record without a newline": (archive(raw_pax(b"6 a=bX") + file()), "malformed"),
    "record without equals": (archive(raw_pax(b"6 abc\n") + file()), "malformed"),
    "record without a key": (archive(raw_pax(b"5 =b\n") + file()), "malformed"),
    "bytes after the records": (archive(raw_pax(b"6 a=b\n\0\0") + file()), "no length"),
    "NUL in a path": (archive(pax((b"path", b"a\0b")) + file()), "NUL"),
    "NUL in a key": (archive(pax((b"SCHILY.xattr.a\0b", b"c")) + file()), "NUL"),
    "attribute without a name": (archive(pax((b"SCHILY.xattr.", b"c")) + file()), "without a proper name"),
    "attribute not in base64": (archive(pax((b"LIBARCHIVE.xattr.user.a", b"!!")) + file()), "base64"),
    "size with a sign": (archive(pax((b"size", b"-5")) + file()), "no size"),
    "size in hexadecimal": (archive(pax((b"size", b"0x5")) + file()), "no size"),
    "uid as text": (archive(pax((b"uid", b"root")) + file()), "no uid"),
    "time as text": (archive(pax((b"mtime", b"1e5")) + file()), "no mtime"),
    "time of two points": (archive(pax((b"mtime", b"1.2.3")) + file()), "no mtime"),
    "size for all": (archive(pax((b"size", b"5"), kind=b"g") + file()), "global header sets 'size'"),
    "path for all": (archive(pax((b"path", b"x"), kind=b"g") + file()), "global header sets 'path'"),
    "sparse for all": (archive(pax((b"GNU.sparse.size", b"5"), kind=b"g") + file()), "global header sets"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_well_formed_is_refused(case: str) -> None:
    """Each of these another reader might take for something else."""
    data, reason = BAD[case]

    with pytest.raises(Invalid, match=reason):
        read(data)


def test_too_much_after_the_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding has a limit."""
    monkeypatch.setattr("pyrunc.image.tarread.LIMIT_TRAILER", 5000)

    with pytest.raises(Invalid, match="follow the end"):
        read(END + bytes(10000), 512)


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of entries has a limit."""
    monkeypatch.setattr("pyrunc.image.tarread.LIMIT_ENTRIES", 3)

    with pytest.raises(Invalid, match="more than 3 entries"):
        read(archive(*(file(b"%d" % i) for i in range(4))))


def test_messages_show_no_control_characters() -> None:
    """A name cannot write to the terminal of who reads the error."""
    with pytest.raises(Invalid) as caught:
        read(archive(header(b"\x1b[2Jx", b"Z")))

    assert "\x1b" not in str(caught.value)


names = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and not name.endswith(b"/"))


@given(st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=5), st.integers(1, 2000))
def test_what_the_standard_library_writes_comes_back(items: list[tuple[bytes, bytes]], size: int) -> None:
    """Any names and bytes survive, however the stream is cut."""
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for name, body in items:
            info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))

    assert [(entry.name, body) for entry, body in read(out.getvalue(), size)] == items


@given(st.data())
def test_no_change_of_a_byte_leads_to_anything_but_a_refusal(data: Any) -> None:
    """Whatever is done to an archive, the reader answers with entries or with Invalid, never with another exception."""
    whole = bytearray(
        archive(
            pax(*SPARSE_10) + file(b"s", padded(b"2\n10\n2\n50\n4\n") + b"abcdef"),
            long(b"n" * 120) + hardlink(b"a", b"b"),
            file(b"g", b"abc", kind=b"S", magic=b"ustar  ", tail=gnu_sparse((512, 3), size=4096)),
        )
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    start = data.draw(st.integers(0, len(whole) // 512 - 1)) * 512
    if data.draw(st.booleans()):
        block = whole[start : start + 512]
        block[148:156] = b" " * 8
        whole[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    try:
        read(bytes(whole))
    except Invalid:
        pass
