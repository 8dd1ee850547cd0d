"""What is in a root file system: every file as a record, and the list of them that stays beside a bundle, so that what
has changed since can be told.

Nothing in the tree is trusted, for a container may still be at work in it: folders are entered by handles, one
component at a time, and no link is followed. Must never open anything but folders: records say nothing of contents. A
file whose inode and time of change (ctime, which nobody can set) are those of the record has the contents that it had.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from pyrunc.image import attributes
from pyrunc.image.tarread import BLOCK_DEVICE, CHAR, FIFO, FOLDER, REGULAR, SYMLINK
from pyrunc.specs.errors import Failure, Invalid

LIMIT_DEPTH = 256
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
KINDS = {
    stat.S_IFREG: REGULAR, stat.S_IFLNK: SYMLINK, stat.S_IFCHR: CHAR, stat.S_IFBLK: BLOCK_DEVICE,
    stat.S_IFDIR: FOLDER, stat.S_IFIFO: FIFO,
}  # fmt: skip

Warn = Callable[[str], None]
Owner = Callable[[int, int], tuple[int, int]]


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


def take(root: int, warn: Warn, owner: Owner = lambda uid, gid: (uid, gid)) -> Inventory:
    """The inventory of the folder ROOT (an fd). OWNER makes of ids here those in the container."""
    found: Inventory = {}
    handle = os.open(".", OPEN_FOLDER, dir_fd=root)
    try:
        found[b""] = _record(os.fstat(handle), b"", b"/proc/self/fd/%d/." % handle, owner)
        for path, record in _walk(handle, b"", 1, warn, owner):
            found[path] = record
    finally:
        os.close(handle)
    _link(found)
    return {path: found[path] for path in sorted(found)}


def single(folder: int, name: bytes, owner: Owner) -> Inventory:
    """The inventory of one file, NAME in FOLDER (an fd), and nothing else."""
    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(info.st_mode) else b""
    if stat.S_ISSOCK(info.st_mode):
        raise Invalid(f"{os.fsdecode(name)!r} is a socket, which no image can hold")
    return {name: _record(info, link, b"/proc/self/fd/%d/%s" % (folder, name), owner)}


def _walk(folder: int, above: bytes, depth: int, warn: Warn, owner: Owner) -> Iterator[tuple[bytes, Record]]:
    if depth > LIMIT_DEPTH:
        raise Invalid(f"{shown(above)} is more than {LIMIT_DEPTH} folders deep")
    with os.scandir(folder) as items:
        names = [os.fsencode(item.name) for item in items]
    for name in names:
        path = above + b"/" + name if above else name
        try:
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISSOCK(info.st_mode):
                warn(f"sockets such as {shown(path)} are left out")
                continue
            link = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(info.st_mode) else b""
            yield path, _record(info, link, b"/proc/self/fd/%d/%s" % (folder, name), owner)
            if stat.S_ISDIR(info.st_mode):
                below, locked = _enter(folder, name)
                try:
                    yield from _walk(below, path, depth + 1, warn, owner)
                finally:
                    if locked:
                        os.fchmod(below, stat.S_IMODE(info.st_mode))
                    os.close(below)
        except FileNotFoundError:
            continue  # it went while we looked, which is as if it had gone before
        except OSError as error:
            raise Failure(f"read {shown(path)}", number=error.errno or 0) from error


def _enter(folder: int, name: bytes) -> tuple[int, bool]:
    """A folder in FOLDER, and whether it had to be unlocked for that: without privileges a folder's own mode may lock
    its owner out."""
    try:
        return os.open(name, OPEN_FOLDER, dir_fd=folder), False
    except PermissionError:
        handle = os.open(name, OPEN_FOLDER | os.O_PATH, dir_fd=folder)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), True
        finally:
            os.close(handle)


def _record(info: os.stat_result, link: bytes, path: bytes, owner: Owner) -> Record:
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    xattrs = {name: value for name, value in _xattrs(path) if not attributes.skipped(name)}
    uid, gid = attributes.owner(xattrs.pop(attributes.OWNER, b""), *owner(info.st_uid, info.st_gid))
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


def dump(inventory: Inventory) -> list[list[object]]:
    """As JSON can hold it. Bytes that are no UTF-8 become surrogates, as in all of Python's names of files."""
    rows: list[list[object]] = []
    for path, record in inventory.items():
        xattrs = {os.fsdecode(name): value.hex() for name, value in record.xattrs.items()}
        rows.append(
            [
                os.fsdecode(path), record.type.decode(), record.mode, record.uid, record.gid, record.size, record.mtime,
                record.device, os.fsdecode(record.link), xattrs, record.inode, record.ctime,
            ]
        )  # fmt: skip
    return rows


def load(rows: object) -> Inventory:
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
    return found
