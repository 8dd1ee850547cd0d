"""What is in a root file system: every file as a record, and the list of them that stays beside a bundle, so that what
has changed since can be told.

Nothing in the tree is trusted, for a container may still be at work in it: folders are entered by handles, one
component at a time, and no link is followed. Must never open anything but folders: records say nothing of contents. A
file whose inode and time of change (ctime, which nobody can set) are those of the record has the contents that it had.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator

from pyrunc.image import attributes
from pyrunc.image.tarread import BLOCK_DEVICE, CHAR, FIFO, FOLDER, REGULAR, SYMLINK
from pyrunc.sandbox.listing import Lister
from pyrunc.specs.errors import Failure, Invalid

LIMIT_DEPTH = 256
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
KINDS = {
    stat.S_IFREG: REGULAR, stat.S_IFLNK: SYMLINK, stat.S_IFCHR: CHAR, stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFDIR: FOLDER, stat.S_IFIFO: FIFO,
}  # fmt: skip

Warn = Callable[[str], None]
Owner = tuple[int, int]  # the user and the group here that are root's in the container; all others are themselves
ROOT = (0, 0)


class Record:
    """One file. The owner is the one in the container; `first` is the first name of a file with several."""

    __slots__ = (
        "ctime", "device", "first", "gid", "inode", "link", "mode", "mtime", "size", "type", "uid", "xattrs",
    )  # fmt: skip

    def __init__(
        self,
        type: bytes,
        mode: int,
        uid: int,
        gid: int,
        size: int,
        mtime: int,
        device: int,
        link: bytes,
        xattrs: dict[bytes, bytes],
        inode: int,
        ctime: int,
    ) -> None:
        self.type = type
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime = mtime
        self.device = device
        self.link = link
        self.xattrs = xattrs
        self.inode = inode
        self.ctime = ctime
        self.first = b""

    def described(self) -> tuple[object, ...]:
        """All that an image says of a file besides its contents."""
        return (
            self.type, self.mode, self.uid, self.gid, self.size, self.mtime, self.device, self.link, self.first,
            self.xattrs,
        )  # fmt: skip

    def same_inode(self, other: Record) -> bool:
        return (self.inode, self.ctime) == (other.inode, other.ctime)


Inventory = dict[bytes, Record]  # by path from the root, sorted; b"" is the root


def take(root: int, warn: Warn, owner: Owner = ROOT) -> Inventory:
    """The inventory of the folder ROOT (an fd). OWNER makes of ids here those in the container."""
    return load(json.loads(b"[%b]" % b",".join(rows(root, warn, owner))))


def single(folder: int, name: bytes, owner: Owner) -> Inventory:
    """The inventory of one file, NAME in FOLDER (an fd), and nothing else."""
    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(info.st_mode) else b""
    if stat.S_ISSOCK(info.st_mode):
        raise Invalid(f"{os.fsdecode(name)!r} is a socket, which no image can hold")
    return {name: _record(info, link, b"/proc/self/fd/%d/%s" % (folder, name), owner)}


def rows(root: int, warn: Warn, owner: Owner = ROOT) -> Iterator[bytes]:
    """The inventory of the folder ROOT (an fd) as `load` reads it: rows of JSON in no order, with commas between them,
    never all of them at once. Most come from native code; those that take more than it knows are made here."""
    lister = Lister(*owner)
    handle = os.open(".", OPEN_FOLDER, dir_fd=root)
    try:
        yield _row(b"", _record(os.fstat(handle), b"", b"/proc/self/fd/%d/." % handle, owner))
        yield from _walk(handle, b"", 1, warn, lister)
    finally:
        os.close(handle)


def _walk(folder: int, above: bytes, depth: int, warn: Warn, lister: Lister) -> Iterator[bytes]:
    if depth > LIMIT_DEPTH:
        raise Invalid(f"{shown(above)} is more than {LIMIT_DEPTH} folders deep")
    for text, left in lister.parts(folder, _quoted(above + b"/" if above else b"")):
        if text:
            yield text
        for item in left:
            described, name = item.startswith(b"/"), item[1:]
            path = above + b"/" + name if above else name
            try:
                if not described:
                    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISSOCK(info.st_mode):
                        warn(f"sockets such as {shown(path)} are left out")
                        continue
                    link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(info.st_mode) else b""
                    yield _row(path, _record(info, link, b"/proc/self/fd/%d/%s" % (folder, name), lister.ids))
                    if not stat.S_ISDIR(info.st_mode):
                        continue
                below, mode = _enter(folder, name)
                try:
                    yield from _walk(below, path, depth + 1, warn, lister)
                finally:
                    if mode is not None:
                        os.fchmod(below, mode)
                    os.close(below)
            except FileNotFoundError:
                continue  # it went while we looked, which is as if it had gone before
            except OSError as error:
                raise Failure(f"read {shown(path)}", number=error.errno or 0) from error


def _enter(folder: int, name: bytes) -> tuple[int, int | None]:
    """A folder in FOLDER, and the mode that it is to get back if it had to be unlocked for that: without privileges a
    folder's own mode may lock its owner out."""
    try:
        return os.open(name, OPEN_FOLDER, dir_fd=folder), None
    except PermissionError:
        handle = os.open(name, OPEN_FOLDER | os.O_PATH, dir_fd=folder)
        try:
            mode = stat.S_IMODE(os.fstat(handle).st_mode)
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), mode
        finally:
            os.close(handle)


def _record(info: os.stat_result, link: bytes, path: bytes, owner: Owner) -> Record:
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    xattrs = {name: value for name, value in _xattrs(path) if not attributes.skipped(name)}
    uid, gid = 0 if info.st_uid == owner[0] else info.st_uid, 0 if info.st_gid == owner[1] else info.st_gid
    uid, gid = attributes.owner(xattrs.pop(attributes.OWNER, b""), uid, gid)
    return Record(
        kind,
        0o777 if kind == SYMLINK else stat.S_IMODE(info.st_mode),
        uid,
        gid,
        info.st_size if kind == REGULAR else 0,
        info.st_mtime_ns,
        info.st_rdev if kind in (CHAR, BLOCK_DEVICE) else 0,
        link,
        xattrs,
        info.st_ino,
        info.st_ctime_ns,
    )


def _xattrs(path: bytes) -> Iterator[tuple[bytes, bytes]]:
    for name in os.listxattr(path, follow_symlinks=False):
        try:
            yield os.fsencode(name), os.getxattr(path, name, follow_symlinks=False)
        except OSError:
            continue  # not ours to read, or gone: `trusted.` without privileges, labels of some file systems


def _link(found: Inventory) -> None:
    """Notes the first name of files that have several."""
    names: dict[int, list[bytes]] = {}
    for path, record in found.items():
        if record.type != FOLDER:
            names.setdefault(record.inode, []).append(path)
    for paths in names.values():
        if len(paths) > 1:
            first = min(paths)
            for path in paths:
                found[path].first = first


def shown(path: bytes) -> str:
    return repr(os.fsdecode(b"/" + path))


# -- as text ----------------------------------------------------------------------------------------------------------


def _row(path: bytes, record: Record) -> bytes:
    """Bytes that are no UTF-8 become surrogates, as in all of Python's names of files."""
    xattrs = {os.fsdecode(name): value.hex() for name, value in record.xattrs.items()}
    fields = [
        os.fsdecode(path), record.type.decode(), record.mode, record.uid, record.gid, record.size, record.mtime,
        record.device, os.fsdecode(record.link), xattrs, record.inode, record.ctime,
    ]  # fmt: skip
    return json.dumps(fields, separators=(",", ":")).encode()


def _quoted(path: bytes) -> bytes:
    return json.dumps(os.fsdecode(path))[1:-1].encode()


def load(rows: object) -> Inventory:
    """The inventory that `rows` has described."""
    found: Inventory = {}
    try:
        for path, kind, mode, uid, gid, size, mtime, device, link, xattrs, inode, ctime in rows:  # type: ignore[attr-defined]
            values = {os.fsencode(name): bytes.fromhex(value) for name, value in xattrs.items()}
            found[os.fsencode(path)] = Record(
                kind.encode(), mode, uid, gid, size, mtime, device, os.fsencode(link), values, inode, ctime
            )
    except (TypeError, ValueError, AttributeError):
        raise Invalid("the list of files of the bundle is damaged") from None
    _link(found)
    return {path: found[path] for path in sorted(found)}
