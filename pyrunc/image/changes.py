"""What is different in a root file system, and the layer that says just that.

Two inventories go in; the paths that are new or other and the names that have gone come out, and then the archive. The
folders above a change are always in the layer, because a layer may be unpacked on its own and stacked. Must never
follow a link, and never put a file into a layer that would be taken for a whiteout.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from pyrunc.image.inventory import Inventory, Record, shown
from pyrunc.image.tarread import FOLDER, LINK, REGULAR, Entry
from pyrunc.image.tarwrite import END, SECOND, entry, member
from pyrunc.sandbox import files
from pyrunc.specs.errors import Failure, Invalid

WHITEOUT, OPAQUE = b".wh.", b".wh..wh..opq"
PIECE = 1 << 18

Same = Callable[[bytes], bool]  # whether the file at a path has the contents that it had


class Changes:
    """Paths: `added` and `modified` are in the layer, `removed` are whited out, `opaque` folders hide all they had:
    what of them has gone is in `gone`."""

    __slots__ = ("added", "gone", "modified", "opaque", "removed")

    def __init__(self) -> None:
        self.added: set[bytes] = set()
        self.modified: set[bytes] = set()
        self.removed: set[bytes] = set()
        self.opaque: set[bytes] = set()
        self.gone: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed or self.opaque)

    def written(self) -> set[bytes]:
        return self.added | self.modified


def compare(old: Inventory, new: Inventory, same: Same, masks: tuple[bytes, ...] = ()) -> Changes:
    """What has become of OLD in NEW. SAME is asked of files of which nothing but the inode is other. Whatever is at or
    below one of MASKS is passed over."""
    changes = Changes()
    for path, record in new.items():
        before = old.get(path)
        if masked(path, masks):
            continue
        if before is None:
            changes.added.add(path)
        elif before.described() != record.described() or _other_contents(path, before, record, same):
            changes.modified.add(path)
    for path in old:
        # Of what has gone only the uppermost: below it nothing can be left.
        if path not in new and not masked(path, masks):
            above = new.get(parent(path))
            if above is not None and above.type == FOLDER:
                changes.removed.add(path)
    _complete_links(new, changes, masks)
    _find_opaque(old, new, changes)
    return changes


def parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def masked(path: bytes, masks: tuple[bytes, ...]) -> bool:
    return any(path == mask or path.startswith(mask + b"/") for mask in masks)


def _other_contents(path: bytes, before: Record, now: Record, same: Same) -> bool:
    return now.type == REGULAR and now.size > 0 and not now.same_inode(before) and not same(path)


def _complete_links(new: Inventory, changes: Changes, masks: tuple[bytes, ...]) -> None:
    """All names of a file or none: a layer cannot link to what a lower one has."""
    firsts = {new[path].first for path in changes.written()} - {b""}
    if firsts:
        for path, record in new.items():
            if record.first in firsts and path not in changes.added and not masked(path, masks):
                changes.modified.add(path)


def _find_opaque(old: Inventory, new: Inventory, changes: Changes) -> None:
    """Folders of which everything has gone say so once."""
    gone: dict[bytes, set[bytes]] = {}
    for path in changes.removed:
        gone.setdefault(parent(path), set()).add(path)
    # Only a folder that loses several can be worth it.
    candidates = {above for above, paths in gone.items() if len(paths) > 1 and above in old}
    for path in old:
        if path and path not in changes.removed:
            candidates.discard(parent(path))
    for above in candidates:
        changes.opaque.add(above)
        changes.removed -= gone[above]
        changes.gone |= gone[above]


def layer(
    root: int,
    new: Inventory,
    changes: Changes,
    clamp: int | None = None,
    name: Callable[[bytes], bytes] = lambda path: path,
) -> Iterator[bytes]:
    """The archive of CHANGES to the folder ROOT (an fd). No time in it is later than CLAMP (seconds). NAME says what a
    path is called in the archive."""
    paths = changes.written() | changes.opaque
    for path in changes.written() | changes.removed | changes.opaque:
        while path := parent(path):
            paths.add(path)
    written: dict[bytes, bytes] = {}
    for path, whiteout in sorted([(path, b"") for path in paths] + list(_whiteouts(changes, name))):
        if whiteout:
            yield from member(entry(whiteout, REGULAR, 0o600))
            continue
        record, called = new[path], name(path)
        if any(part.startswith(WHITEOUT) for part in called.split(b"/")):
            raise Invalid(f"{shown(path)} would be taken for a whiteout", hint="rename it, or mask it by --mask-path")
        item = of_record(called, record, clamp)
        if record.first and record.first in written:
            item.type, item.link, item.size, item.xattrs = LINK, written[record.first], 0, {}
        elif record.first:
            written[record.first] = called
        yield from member(item, contents(root, path, record) if item.type == REGULAR else ())
    yield END


def _whiteouts(changes: Changes, name: Callable[[bytes], bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Where they belong among the sorted paths, and their names."""
    for path in changes.removed:
        yield path, whiteout(name(path))
    for path in changes.opaque:
        called = name(path)
        yield path + b"/" if path else b"", (called + b"/" if called else b"") + OPAQUE


def whiteout(path: bytes) -> bytes:
    """The name that says that nothing is at PATH."""
    above, _, name = path.rpartition(b"/")
    return (above + b"/" if above else b"") + WHITEOUT + name


def of_record(path: bytes, record: Record, clamp: int | None) -> Entry:
    folder = record.type == FOLDER
    name = (path + b"/" if path else b"./") if folder else path
    seconds = record.mtime // SECOND
    if clamp is not None:
        seconds = min(seconds, clamp)
    made = entry(name, record.type, record.mode, uid=record.uid, gid=record.gid, mtime=seconds * SECOND)
    made.size, made.link, made.xattrs = record.size, record.link, record.xattrs
    made.major, made.minor = os.major(record.device), os.minor(record.device)
    return made


def contents(root: int, path: bytes, record: Record) -> Iterator[bytes]:
    """The bytes of the file of RECORD, which must still be the one that is there."""
    try:
        handle = files.open_nolinks(root, path, os.O_PATH | os.O_NOFOLLOW)
    except OSError as error:
        raise Failure(f"read {shown(path)}", number=error.errno or 0) from error
    try:
        # Looked at before it is opened, because to open a device may already do something.
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or info.st_ino != record.inode:
            raise Invalid(f"{shown(path)} changed while it was read", hint="stop the container first")
        with open(f"/proc/self/fd/{handle}", "rb", buffering=0) as file:
            left = record.size
            while left and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece
    finally:
        os.close(handle)
