"""Tar archives, written: ustar headers, with a pax header before those that need more. The same entries always make
the same bytes, whoever runs this and when.

Numbers alone say who owns what: names of users are this machine's. Times are whole seconds, because archives of other
writers are compared with ours. Must never touch a file system, and never write what `tarread` would refuse.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from pyrunc.image.pax import LIBARCHIVE_XATTR, LIMIT_RECORDS, XATTR
from pyrunc.image.tarread import BLOCK, LIMIT_NAME, LINK, REGULAR, SYMLINK, Entry
from pyrunc.specs.errors import Invalid

SECOND = 1_000_000_000
END = bytes(2 * BLOCK)
LIMIT_ID = 8**7  # the first id, and the first size and time, that a header's octal digits cannot say
LIMIT_SIZE = 8**11

GZIP_LEVEL, ZSTD_LEVEL = 6, 3
COMPRESSIONS = ("gzip", "zstd", "none")


def entry(name: bytes, type: bytes, mode: int = 0o644, *, uid: int = 0, gid: int = 0, mtime: int = 0) -> Entry:
    """An entry without contents; `mtime` in nanoseconds, as everywhere."""
    made = Entry()
    made.name, made.type, made.mode, made.uid, made.gid = name, type, mode, uid, gid
    made.atime = made.mtime = mtime
    made.size = made.major = made.minor = made.real_size = 0
    made.link, made.xattrs, made.regions = b"", {}, None
    return made


def member(entry: Entry, body: Iterable[bytes] = ()) -> Iterator[bytes]:
    """An entry with its contents, which must be as many bytes as it says."""
    yield header(entry)
    left = entry.size
    for piece in body:
        left -= len(piece)
        yield piece
    if left:
        raise Invalid(f"{entry.name.decode(errors='replace')!r} changed while it was read")
    if entry.size % BLOCK:
        yield bytes(-entry.size % BLOCK)


def header(entry: Entry) -> bytes:
    """All that stands before an entry's contents."""
    records = dict(_records(entry))
    size = entry.size if entry.type == REGULAR else 0
    seconds = entry.mtime // SECOND
    block = _block(
        _short(entry.name),
        entry.type,
        entry.mode,
        (entry.uid if entry.uid < LIMIT_ID else 0, entry.gid if entry.gid < LIMIT_ID else 0),
        size if size < LIMIT_SIZE else 0,
        seconds if 0 <= seconds < LIMIT_SIZE else 0,
        entry.link[:100],
        (entry.major, entry.minor),
    )
    if not records:
        return block
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    if len(data) > LIMIT_RECORDS:
        raise Invalid(f"{entry.name.decode(errors='replace')!r} has attributes of more than {LIMIT_RECORDS} bytes")
    name = b"PaxHeaders/" + _short(entry.name.rstrip(b"/").rpartition(b"/")[2])[:80]
    return _block(name, b"x", 0o644, (0, 0), len(data), 0) + data + bytes(-len(data) % BLOCK) + block


def _records(entry: Entry) -> Iterator[tuple[bytes, bytes]]:
    """What the header cannot say."""
    if len(entry.name) > LIMIT_NAME or len(entry.link) > LIMIT_NAME:
        raise Invalid(f"a name of more than {LIMIT_NAME} bytes")
    texts = [(b"path", entry.name)]
    if entry.type in (LINK, SYMLINK):
        texts.append((b"linkpath", entry.link))
    for key, text in texts:
        if len(text) > 100 or not text.isascii():
            yield key, text
    for key, number, limit in (
        (b"uid", entry.uid, LIMIT_ID),
        (b"gid", entry.gid, LIMIT_ID),
        (b"size", entry.size, LIMIT_SIZE),
        (b"mtime", entry.mtime // SECOND, LIMIT_SIZE),
    ):
        if not 0 <= number < limit:
            yield key, b"%d" % number
    for name, value in entry.xattrs.items():
        if b"=" in name:  # would end the record's key
            from base64 import b64encode
            from urllib.parse import quote_from_bytes

            yield LIBARCHIVE_XATTR + quote_from_bytes(name).encode(), b64encode(value)
        else:
            yield XATTR + name, value


def _record(key: bytes, value: bytes) -> bytes:
    """One record: its length, which counts its own digits, then `key=value` and a newline."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _short(name: bytes) -> bytes:
    """The field for a name; whole, or of no use to anybody, since then the pax header has it."""
    return name[:100] if name.isascii() else bytes(byte for byte in name if byte < 0x80)[:100] or b"_"


def _block(
    name: bytes,
    type: bytes,
    mode: int,
    owner: tuple[int, int],
    size: int,
    seconds: int,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    before = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(100, b"\0"), mode, *owner, size, seconds)
    after = b"%s%sustar\x0000%s%07o\0%07o\0" % (type, link.ljust(100, b"\0"), bytes(64), *device)
    total = sum(before) + sum(after) + 8 * 32
    return (before + b"%06o\0 " % total + after).ljust(BLOCK, b"\0")


def compressed(pieces: Iterable[bytes], kind: str) -> Iterator[bytes]:
    """PIECES compressed by KIND, one of COMPRESSIONS. Neither header says when, where or of what it was made.

    zlib and not the faster isal, because what it makes does not depend on what is installed.
    """
    if kind == "none":
        yield from pieces
        return
    codec = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31) if kind == "gzip" else _zstd()
    for piece in pieces:
        if data := codec.compress(piece):
            yield data
    yield codec.flush()


def _zstd() -> Any:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdCompressor(ZSTD_LEVEL)
