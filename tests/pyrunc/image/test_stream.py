"""Streams are what they claim to be, or end in an error."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import struct
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from pyrunc.image import stream
from pyrunc.specs.errors import Invalid

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = random.Random(1).randbytes(300_000) + bytes(3_000_000) + b"text " * 100_000


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def unpack(data: bytes, kind: str, size: int = 1 << 16) -> bytes:
    return b"".join(stream.decompressed(pieces(data, size), kind))


@pytest.fixture(params=["isal", "zlib"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    else:
        pytest.importorskip("isal")
    return str(request.param)


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_gzip(engine: str, size: int) -> None:
    """However the stream is cut, what was packed comes out."""
    data = DATA if size > 1 else DATA[:3000]

    assert unpack(gzip.compress(data), "gzip", size) == data


def test_gzip_of_several_members_and_zeros(engine: str) -> None:
    """pigz, estargz and others write many members; tapes end in zeros."""
    members = [gzip.compress(part) for part in (DATA[:1000], b"", DATA[1000:])]
    for size in (7, 1 << 20):
        assert unpack(b"".join(members) + bytes(700), "gzip", size * 100) == DATA


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_zstd_of_several_frames(size: int) -> None:
    """Frames to be skipped hold the table of zstd:chunked."""
    skipped = struct.pack("<II", 0x184D2A55, 300) + b"x" * 300
    frames = skipped + zstd.compress(DATA[:1000]) + skipped + zstd.compress(DATA[1000:]) + skipped

    assert stream.compression(frames) == "zstd"
    assert unpack(frames, "zstd", size) == DATA


def test_the_compression_is_told_by_the_first_bytes() -> None:
    """Media types are not asked."""
    assert stream.compression(gzip.compress(b"x")) == "gzip"
    assert stream.compression(zstd.compress(b"x")) == "zstd"
    assert stream.compression(b"file\0") == stream.compression(b"") == ""


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize("cut", [1, 5, 1000])
def test_a_gzip_stream_that_ends_early(engine: str, cut: int) -> None:
    """Even when only the checksum at the end is missing."""
    with pytest.raises(Invalid, match="ends early"):
        unpack(gzip.compress(DATA)[:-cut], "gzip")


def test_a_zstd_stream_that_ends_early() -> None:
    """Even when only one byte is missing."""
    with pytest.raises(Invalid, match="ends early"):
        unpack(zstd.compress(DATA)[:-1], "zstd")


def test_a_damaged_gzip_stream(engine: str) -> None:
    """A changed byte in the middle is noticed."""
    with pytest.raises(Invalid, match="damaged"):
        unpack(damaged(gzip.compress(DATA)), "gzip")


def test_a_wrong_checksum_of_gzip(engine: str) -> None:
    """gzip's own checksum counts."""
    data = bytearray(gzip.compress(DATA))
    data[-6] ^= 1
    with pytest.raises(Invalid, match="damaged"):
        unpack(bytes(data), "gzip")


def test_a_damaged_zstd_stream() -> None:
    """zstd's own checksum counts."""
    with pytest.raises(Invalid, match="damaged"):
        unpack(damaged(zstd.compress(DATA, options={zstd.CompressionParameter.checksum_flag: 1})), "zstd")


def test_rubbish_after_the_last_member(engine: str) -> None:
    """Only zeros and more members may follow a member."""
    with pytest.raises(Invalid, match="damaged"):
        unpack(gzip.compress(DATA) + b"rubbish" * 10, "gzip")


def test_zstd_windows_of_128_mib_and_not_more() -> None:
    """A frame says itself how much memory its reader needs."""

    def frame(log: int) -> bytes:
        # A frame header with a window descriptor, then one last raw block of one byte.
        return b"\x28\xb5\x2f\xfd\x00" + bytes([(log - 10) << 3]) + (1 | 1 << 3).to_bytes(3, "little") + b"x"

    assert unpack(frame(27), "zstd") == b"x"
    with pytest.raises(Invalid, match="damaged"):
        unpack(frame(28), "zstd")


def test_a_bomb_never_fills_the_memory(engine: str) -> None:
    """What comes out comes in pieces of bounded size, whatever the ratio."""
    bomb = gzip.compress(bytes(200_000_000), 9)

    assert max(map(len, stream.decompressed(iter([bomb]), "gzip"))) <= stream.PIECE
    bomb = zstd.compress(bytes(200_000_000))
    assert max(map(len, stream.decompressed(iter([bomb]), "zstd"))) <= stream.PIECE


def test_a_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """zstd packs zeros 30000 times; no honest layer is so small."""
    monkeypatch.setattr(stream, "RATIO_FREE", 1 << 20)
    bomb = zstd.compress(bytes(100_000_000))
    with pytest.raises(Invalid, match="unpacks to more than"):
        for _ in stream.limited(stream.decompressed(iter([bomb]), "zstd"), len(bomb)):
            pass
    honest = gzip.compress(bytes(100_000_000))
    for _ in stream.limited(stream.decompressed(iter([honest]), "gzip"), len(honest)):
        pass


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_verified_streams_pass(algorithm: str) -> None:
    """A stream that is what was said comes through unchanged."""
    digest = f"{algorithm}:{hashlib.new(algorithm, DATA).hexdigest()}"

    assert b"".join(stream.verified(pieces(DATA, 1000), digest, len(DATA), "it")) == DATA


@pytest.mark.parametrize(
    ("digest", "size", "reason"),
    [
        (sha256(DATA), len(DATA) - 1, "larger"),
        (sha256(DATA), len(DATA) + 1, "bytes where"),
        (sha256(DATA + b"x"), len(DATA), "not what its digest says"),
        (sha256(DATA + b"x"), None, "not what its digest says"),
        ("blake3:" + "0" * 64, len(DATA), "cannot be verified"),
        ("md5:" + "0" * 32, len(DATA), "cannot be verified"),
    ],
)
def test_streams_that_are_not_what_was_said(digest: str, size: int | None, reason: str) -> None:
    """Size and digest both count, and a digest that cannot be computed is no pass."""
    with pytest.raises(Invalid, match=reason):
        b"".join(stream.verified(pieces(DATA, 1000), digest, size, "it"))


def test_an_endless_stream_is_cut_at_its_size() -> None:
    """No more is read than one piece beyond what was declared."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1000)

    with pytest.raises(Invalid, match="larger"):
        b"".join(stream.verified(endless(), sha256(b""), 5000, "it"))
    assert taken == 6


def test_ahead_hands_everything_on_in_order() -> None:
    """A thread in between changes nothing."""
    assert list(stream.ahead(iter([b"%d" % i for i in range(1000)]))) == [b"%d" % i for i in range(1000)]


def test_ahead_hands_errors_on() -> None:
    """What goes wrong in the thread is raised where its results are read."""

    def broken() -> Iterator[bytes]:
        yield b"1"
        raise Invalid("halfway")

    reader = stream.ahead(broken())

    assert next(reader) == b"1"
    with pytest.raises(Invalid, match="halfway"):
        next(reader)


def test_ahead_leaves_no_thread_behind() -> None:
    """Not even when its reader stops in the middle of an endless stream, through two of them."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x"

    before = threading.active_count()
    reader = stream.ahead(stream.verified(stream.ahead(endless()), "", None, "it"))
    next(reader)
    assert threading.active_count() == before + 2
    reader.close()
    del reader
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)

    assert threading.active_count() == before


class Blob:
    """What `contents` needs of a layer."""

    def __init__(self, data: bytes, diff_id: str, **values: Any) -> None:
        self.digest: str = values.get("digest", sha256(data))
        self.size: int = values.get("size", len(data))
        self.diff_id = diff_id
        self.file = io.BytesIO(data)

    def pieces(self) -> Iterator[bytes]:
        return stream.read(self.file)


@pytest.mark.parametrize("packer", [bytes, gzip.compress, zstd.compress])
def test_contents(packer: Any) -> None:
    """A layer's stream, by any compression, is read and its file closed."""
    blob = Blob(packer(DATA), sha256(DATA))

    assert b"".join(stream.contents(blob)) == DATA  # type: ignore[arg-type]
    assert blob.file.closed


@pytest.mark.parametrize("packer", [bytes, gzip.compress, zstd.compress])
def test_contents_that_are_not_what_the_config_says(packer: Any) -> None:
    """The digest of the blob is right, the one of what it unpacks to is not."""
    with pytest.raises(Invalid, match="unpacked layer is not what its digest says"):
        b"".join(stream.contents(Blob(packer(DATA), sha256(b"else"))))  # type: ignore[arg-type]


def test_contents_of_another_blob() -> None:
    """The blob's digest counts even when it unpacks to the right archive."""
    other = zlib.compress(b"other", wbits=31)
    with pytest.raises(Invalid, match="the blob is not what its digest says"):
        b"".join(stream.contents(Blob(other, sha256(b"other"), digest=sha256(b"x"))))  # type: ignore[arg-type]
