"""Blobs as streams of bytes: read, checked, decompressed, checked again, one generator around the other.

    read(file) -> verified(size, digest) -> decompressed() | verified(diff id) | tar

Each | is a thread boundary (`ahead`).

Verification is a property of the stream, not a step that a caller may forget: a stream that is not what its
descriptor says ends in `Invalid`, never in silence. So whoever reads one must read it to its end before believing
any of it.
Must never hold more than a few pieces in memory, whatever a blob claims, and must never know what is inside.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Generator, Iterator
from itertools import chain
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Protocol

from pyrunc.specs.errors import Invalid

if TYPE_CHECKING:
    from pyrunc.image.source import Layer

PIECE = 1 << 20  # bytes a read
READ_AHEAD = 4  # pieces that a thread may be ahead of its reader
PATIENCE = 2.0  # seconds that a reader who gives up waits for that thread
WINDOW_LOG = 27  # a zstd frame may ask for a window of 128 MiB, which is what `zstd --long` makes
STREAM_LIMIT = 64 << 30  # bytes that a layer may unpack to
RATIO_FREE, RATIO = 1 << 30, 1100  # beyond the first gigabyte nothing may be packed tighter than gzip is able to

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"


class Decompressor(Protocol):
    """What zlib's and zstd's objects have in common once `_Gzip` has put zlib's into the same shape."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def contents(layer: Layer) -> Generator[bytes, None, None]:
    """The archive that a layer is, as a checked stream."""
    packed = verified(layer.pieces(), layer.digest, layer.size, "the blob")
    start = next(packed, b"")
    pieces: Iterator[bytes] = chain([start] if start else [], packed)
    kind = compression(start)
    if kind:
        # A thread of its own, because hashing what comes out takes as long as half of the decompressing.
        pieces = ahead(limited(decompressed(pieces, kind), layer.size))
    # Not compressed, the two digests are one, and it has been checked.
    if kind or layer.diff_id != layer.digest:
        pieces = verified(pieces, layer.diff_id, None, "the unpacked layer")
    return ahead(pieces)


def read(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file in pieces; it is closed at the end."""
    with file:
        while piece := file.read(PIECE):
            yield piece


def hasher(digest: str) -> Any:
    """The hash object of a digest; an algorithm that we cannot compute is an error, never a pass."""
    algorithm = digest.partition(":")[0]
    if algorithm not in ("sha256", "sha512"):
        raise Invalid(f"digest {digest!r} cannot be verified", hint="sha256 and sha512 are known")
    return hashlib.new(algorithm)


def verified(pieces: Iterator[bytes], digest: str, size: int | None, what: str) -> Iterator[bytes]:
    """Hands PIECES on and fails when they are not SIZE bytes (None: any number) with DIGEST ("": any)."""
    state = hasher(digest) if digest else None
    total = 0
    for piece in pieces:
        total += len(piece)
        # The size before the digest, because an endless blob never gets to its digest.
        if size is not None and total > size:
            raise Invalid(f"{what} is larger than the {size} bytes that were declared")
        if state:
            state.update(piece)
        yield piece
    if size is not None and total != size:
        raise Invalid(f"{what} has {total} bytes where {size} were declared")
    if state and digest.partition(":")[2] != state.hexdigest():
        raise Invalid(f"{what} is not what its digest says", hint=f"expected {digest}, found {state.hexdigest()}")


def limited(pieces: Iterator[bytes], packed: int) -> Iterator[bytes]:
    """Hands PIECES on until they are more than a blob of PACKED bytes may unpack to."""
    limit = min(STREAM_LIMIT, RATIO_FREE + RATIO * packed)
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise Invalid(f"the layer unpacks to more than {limit} bytes")
        yield piece


def compression(start: bytes) -> str:
    """The compression that a stream has by its first bytes, because media types lie: "", "gzip" or "zstd"."""
    if start.startswith(GZIP):
        return "gzip"
    # Besides a zstd frame, a stream may begin with a frame to be skipped: 0x184D2A50 to 5F.
    if start.startswith(ZSTD) or (start[1:4] == b"\x2a\x4d\x18" and start[0] & 0xF0 == 0x50):
        return "zstd"
    return ""


def decompressed(pieces: Iterator[bytes], kind: str) -> Iterator[bytes]:
    """PIECES decompressed: all members of a gzip file, all frames of a zstd one. Zeros after the last are padding."""
    codec: Decompressor | None = None
    started = False
    for piece in pieces:
        data = piece
        while data or (codec and not codec.needs_input):
            if codec is None:
                data = data.lstrip(b"\0") if started else data
                if not data:
                    break
                codec, started = _codec(kind), True
            output = _decompress(codec, data, kind)
            data = b""
            if codec.eof:
                data, codec = codec.unused_data, None
            if output:
                yield output
    if codec is not None or not started:
        raise Invalid(f"the {kind} stream ends early")


def _decompress(codec: Decompressor, data: bytes, kind: str) -> bytes:
    try:
        return codec.decompress(data, PIECE)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # zlib, isal and zstd each have an error class of their own
        raise Invalid(f"the {kind} stream is damaged: {error}") from None


def _codec(kind: str) -> Decompressor:
    return _Gzip() if kind == "gzip" else _zstd()


def _zstd() -> Decompressor:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG}
    codec: Decompressor = zstd.ZstdDecompressor(options=options)
    return codec


class _Gzip:
    """One gzip member. isal is 2.4 times as fast as zlib and need not be there."""

    __slots__ = ("pending", "state")

    def __init__(self) -> None:
        engine: Any = zlib
        try:
            from isal import isal_zlib as engine
        except ImportError:
            pass
        self.state = engine.decompressobj(wbits=31)
        self.pending = False

    @property
    def eof(self) -> bool:
        return bool(self.state.eof)

    @property
    def needs_input(self) -> bool:
        return not self.pending

    @property
    def unused_data(self) -> bytes:
        return bytes(self.state.unused_data)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        output: bytes = self.state.decompress(self.state.unconsumed_tail + data, max_length)
        # A full buffer may mean that there is more inside, even when all input has been taken.
        self.pending = not self.state.eof and (len(output) == max_length or bool(self.state.unconsumed_tail))
        return output


def ahead(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """PIECES worked out by a thread while the reader writes files; hashing and decompressing let the interpreter go."""
    from queue import Empty, Queue
    from threading import Event, Thread

    queue: Queue[bytes | BaseException | None] = Queue(READ_AHEAD)
    stop = Event()

    def work() -> None:
        try:
            for piece in pieces:
                queue.put(piece)
                if stop.is_set():
                    break
        except BaseException as error:
            queue.put(error)
        finally:
            queue.put(None)

    thread = Thread(target=work, name="layer", daemon=True)
    thread.start()
    item: bytes | BaseException | None = b""
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        # The queue is emptied before the join, because the thread may be waiting for room in it. One that waits for a
        # network is left to itself: whoever presses Ctrl-C does not wait for that.
        end = monotonic() + PATIENCE
        try:
            while item is not None:
                item = queue.get(timeout=max(0.0, end - monotonic()))
            thread.join()
        except Empty:
            pass
