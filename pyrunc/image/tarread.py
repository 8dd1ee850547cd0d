"""Tar archives, read once from front to back: ustar, pax, GNU and old v7, with every kind of sparse file.

One size decides both how many bytes an entry hands out and how many are passed over (CVE-2025-62518 came of two),
and whatever is not well-formed is refused: another reader might understand it differently. Names are bytes, as the
kernel's are.
Must never touch a file system, never guess, and never hold more than one header's records in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyrunc.image import fields, pax, sparse
from pyrunc.image.fields import number, shown
from pyrunc.specs.errors import Invalid

BLOCK = 512
LIMIT_NAME = 4096  # PATH_MAX
LIMIT_ENTRIES = 4_000_000
LIMIT_TRAILER = 64 << 20  # bytes after the end of the archive: padding, whatever the blocking factor was

REGULAR, LINK, SYMLINK, CHAR, BLOCK_DEVICE, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
BODILESS = (LINK, SYMLINK, CHAR, BLOCK_DEVICE, FOLDER, FIFO)  # their size field means nothing: no bytes follow
ENDED = b"\0" * BLOCK


class Entry:
    """One member. `size` bytes of it follow; when `regions` are given they belong there in a file of `real_size`."""

    __slots__ = (
        "atime", "gid", "link", "major", "minor", "mode", "mtime", "name", "real_size", "regions", "size", "type",
        "uid", "xattrs",
    )  # fmt: skip

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    atime: int
    link: bytes
    major: int
    minor: int
    xattrs: dict[bytes, bytes]
    regions: list[tuple[int, int]] | None
    real_size: int


class Reader:
    """Iterates over the entries of an archive; `body()` is what the current one holds, less what was read of it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.piece = b""
        self.at = 0
        self.left = 0  # bytes of the current entry that nobody has taken yet
        self.padding = 0
        self.count = 0
        self.globals: dict[bytes, bytes] = {}

    # -- bytes --------------------------------------------------------------------------------------------------------

    def block(self) -> bytes:
        """The next 512 bytes; b"" at the end of the stream."""
        start = self.at
        block = self.piece[start : start + BLOCK]
        self.at = start + len(block)
        while len(block) < BLOCK:
            piece = next(self.pieces, b"")
            if not piece:
                if block:
                    raise Invalid("the archive ends within a header")
                return b""
            self.piece = piece
            self.at = BLOCK - len(block)
            block += piece[: self.at]
            self.at = min(self.at, len(piece))
        return block

    def body(self) -> Iterator[memoryview]:
        """The rest of the current entry's bytes."""
        while self.left:
            if self.at == len(self.piece):
                self.piece, self.at = next(self.pieces, b""), 0
                if not self.piece:
                    raise Invalid("the archive ends within an entry")
            part = memoryview(self.piece)[self.at : self.at + self.left]
            self.at += len(part)
            self.left -= len(part)
            yield part

    def _records(self, header: bytes, limit: int, what: str) -> bytes:
        """The whole body of a header that describes the next entry."""
        size = number(header[124:136], "size")
        if not 0 < size <= limit:
            raise Invalid(f"{what} of {size} bytes")
        self.left, self.padding = size, -size % BLOCK
        data = b"".join(self.body())
        self._pass_over()
        return data

    def _pass_over(self) -> None:
        for _ in self.body():
            pass
        self.left, self.padding = self.padding, 0
        for _ in self.body():
            pass

    def ahead(self) -> memoryview:
        """What is there already of the entries after the current one, for a reader that knows some by itself and says
        so by `skip`. Nothing where headers before them count for them."""
        if self.globals:
            return memoryview(b"")
        self._pass_over()
        return memoryview(self.piece)[self.at :]

    def skip(self, size: int, entries: int) -> None:
        """Passes over SIZE bytes of what `ahead` has shown: ENTRIES whole ones."""
        self.at += size
        self._counted(entries)

    def _counted(self, entries: int) -> None:
        self.count += entries
        if self.count > LIMIT_ENTRIES:
            raise Invalid(f"the archive has more than {LIMIT_ENTRIES} entries")

    def _drain(self) -> None:
        """Reads to the end of the stream, which only then is known to be what its digest says."""
        rest = len(self.piece) - self.at
        for piece in self.pieces:
            rest += len(piece)
            if rest > LIMIT_TRAILER:
                raise Invalid(f"more than {LIMIT_TRAILER} bytes follow the end of the archive")

    # -- headers ------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Entry]:
        name = link = b""
        records: list[tuple[bytes, bytes]] | None = None
        while True:
            block = self.block()
            if not block or block == ENDED:
                if name or link or records is not None:
                    raise Invalid("the archive ends after a header that describes a next entry")
                if block and self.block() not in (b"", ENDED):
                    raise Invalid("something follows the end of the archive")
                self._drain()
                return
            verify(block)
            kind = block[156:157]
            if kind == b"x":
                if records is not None:
                    raise Invalid("two extended headers describe one entry")
                records = pax.parse(self._records(block, pax.LIMIT_RECORDS, "an extended header"))
            elif kind == b"g":
                self._remember(pax.parse(self._records(block, pax.LIMIT_RECORDS, "a global header")))
            elif kind == b"L" and not name:
                name = _long_name(self._records(block, LIMIT_NAME + 1, "a long name"))
            elif kind == b"K" and not link:
                link = _long_name(self._records(block, LIMIT_NAME + 1, "a long link name"))
            else:
                self._counted(1)
                entry = basics(block)
                map_follows = False
                if self.globals or records:
                    map_follows = self._extend(entry, records or [])
                if kind == b"S":
                    self._old_sparse(entry, block)
                # GNU's long names win over the short ones of pax, as in every reader of images.
                entry.name, entry.link = name or entry.name, link or entry.link
                _check(entry)
                name, link, records = b"", b"", None
                self.left, self.padding = entry.size, -entry.size % BLOCK
                if map_follows:
                    self._sparse_map(entry)
                yield entry
                self._pass_over()

    def _remember(self, records: list[tuple[bytes, bytes]]) -> None:
        for key, value in records:
            # A name or a size cannot be meant for every entry to come: readers differ on what to do with it.
            if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse."):
                raise Invalid(f"a global header sets {shown(key)}")
            self.globals[key] = value

    def _extend(self, entry: Entry, records: list[tuple[bytes, bytes]]) -> bool:
        """Puts what the extended headers say over what the header says. True: a sparse file's map follows."""
        values = {**self.globals, **dict(records)}
        entry.name = values.get(b"GNU.sparse.name") or values.get(b"path") or entry.name
        entry.link = values.get(b"linkpath") or entry.link
        if (text := values.get(b"size")) and entry.type not in BODILESS:
            entry.size = fields.unsigned(text, "size")
        if text := values.get(b"uid"):
            entry.uid = fields.unsigned(text, "uid")
        if text := values.get(b"gid"):
            entry.gid = fields.unsigned(text, "gid")
        if text := values.get(b"mtime"):
            entry.atime = entry.mtime = fields.seconds(text, "mtime")
        if text := values.get(b"atime"):
            entry.atime = fields.seconds(text, "atime")
        entry.xattrs = pax.xattrs(values)
        if entry.type != REGULAR or not any(key.startswith(b"GNU.sparse.") for key in values):
            return False
        entry.regions, entry.real_size = sparse.from_pax(records, entry.size)
        return entry.regions is None

    def _old_sparse(self, entry: Entry, block: bytes) -> None:
        regions, more = sparse.from_header(block[386:482], block[482])
        while more:
            extension = self.block()
            if not extension:
                raise Invalid("the archive ends within a sparse file's map")
            added, more = sparse.from_header(extension[:504], extension[504])
            regions += added
            if len(regions) > sparse.LIMIT_REGIONS:
                raise Invalid(f"a sparse file of more than {sparse.LIMIT_REGIONS} regions")
        entry.real_size = number(block[483:495], "real size")
        entry.regions = sparse.checked(regions, entry.size, entry.real_size)

    def _sparse_map(self, entry: Entry) -> None:
        """The map of a pax 1.0 sparse file, which stands before its bytes and is padded to whole blocks."""
        blocks: list[bytes] = []
        lines, expected = 0, 1
        while lines < expected:
            if self.left < BLOCK:
                raise Invalid("the map of a sparse file is longer than the entry")
            block = self.block()
            if not block:
                raise Invalid("the archive ends within a sparse file's map")
            blocks.append(block)
            self.left -= BLOCK
            lines += blocks[-1].count(b"\n")
            if len(blocks) == 1:
                expected += 2 * sparse.count(blocks[0])
        entry.regions = sparse.checked(sparse.from_body(b"".join(blocks)), self.left, entry.real_size)


def basics(block: bytes) -> Entry:
    """An entry as its header alone describes it."""
    entry = Entry()
    entry.name = fields.name(block[:100])
    entry.type = kind = block[156:157]
    entry.mode = number(block[100:108], "mode") & 0o7777
    entry.uid = number(block[108:116], "uid")
    entry.gid = number(block[116:124], "gid")
    entry.size = number(block[124:136], "size")
    entry.atime = entry.mtime = number(block[136:148], "mtime") * 1_000_000_000
    entry.link = fields.name(block[157:257]) if kind in (LINK, SYMLINK) else b""
    entry.major = entry.minor = 0
    entry.xattrs = {}
    entry.regions = None
    entry.real_size = 0
    if block[257:263] == b"ustar\0":
        # The star program keeps times in the last bytes of the prefix and says so by its own magic at the end.
        prefix = fields.name(block[345:476] if block[508:512] == b"tar\0" else block[345:500])
        if prefix:
            entry.name = prefix + b"/" + entry.name
    if kind in (CHAR, BLOCK_DEVICE):
        entry.major = number(block[329:337], "major number")
        entry.minor = number(block[337:345], "minor number")
    if kind in BODILESS:
        entry.size = 0
    elif kind in (b"\0", b"7", b"S"):
        entry.type = REGULAR
    elif kind != REGULAR:
        raise Invalid(f"{shown(entry.name)} is of the unknown type {shown(kind)}")
    return entry


def _check(entry: Entry) -> None:
    if entry.type == REGULAR and entry.name.endswith(b"/"):
        entry.type = FOLDER  # as v7 wrote it; should there be bytes, they are passed over
    if entry.size < 0:
        raise Invalid(f"{shown(entry.name)} has a negative size")
    if len(entry.name) > LIMIT_NAME or len(entry.link) > LIMIT_NAME:
        raise Invalid(f"a name of more than {LIMIT_NAME} bytes")
    if not entry.name:
        raise Invalid("an entry without a name")


def verify(block: bytes) -> None:
    """The checksum: the sum of all bytes, its own field taken as spaces; of signed bytes in some old archives."""
    claimed = number(block[148:156], "checksum")
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if total != claimed:
        signed = total - 256 * sum(1 for i, byte in enumerate(block) if byte > 127 and not 148 <= i < 156)
        if signed != claimed:
            raise Invalid("a header's checksum is wrong")


def _long_name(data: bytes) -> bytes:
    name = fields.name(data)
    if not name or data[len(name) :].strip(b"\0"):
        raise Invalid("a long name that is empty or goes on after its end")
    return name
