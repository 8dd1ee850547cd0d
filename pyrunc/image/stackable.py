"""A layer by itself, in the form that overlayfs stacks: whiteouts are devices 0:0, emptied folders have an attribute.

Must never make a stack show anything but what the layers show when they are put on one root file system one after the
other: what cannot be said in this form is refused.
"""

from __future__ import annotations

import os
import stat

from pyrunc.image import attributes, tarread
from pyrunc.image.apply import Applier, Warn
from pyrunc.image.fields import shown
from pyrunc.image.folders import Folder
from pyrunc.image.tarread import Entry
from pyrunc.sandbox import files
from pyrunc.specs.errors import Failure, Invalid

# That of users is for user namespaces (userxattr). No image can have either (attributes.skipped).
OPAQUE, OPAQUE_OF_USERS = b"trusted.overlay.opaque", b"user.overlay.opaque"
LOOK = os.O_PATH | os.O_NOFOLLOW
FOLDER = os.O_RDONLY | os.O_DIRECTORY
FLAT = "unpack it without --layers"


class LayerApplier(Applier):
    """Puts one layer on the empty folder ROOT. `implied`: the folders in it that it does not describe itself."""

    def __init__(self, root: int, rootless: bool, warn: Warn) -> None:
        super().__init__(root, rootless, warn)
        self.opaque = OPAQUE_OF_USERS if rootless else OPAQUE
        self.hidden: set[tuple[bytes, bytes]] = set()
        self.emptied: set[bytes] = set()
        self.implied: list[bytes] = []
        self.described = False  # whether an entry is about the root

    def _empty(self, path: bytes) -> None:
        self.emptied.add(path)

    def _hide(self, above: bytes, name: bytes) -> None:
        self.hidden.add((above, name))

    def _settle(self) -> None:
        # Last, because a whiteout does not concern what its own layer has, in whatever order they come.
        for path in sorted(self.emptied):
            make_opaque(self.folders.make(path).fd, self.opaque)
        for above, name in sorted(self.hidden):
            self.folders.trim()
            white_out(self.folders.make(above).fd, name, self.opaque)
        gone = {above + b"/" + name if above else name for above, name in self.hidden}
        found = self.folders.undescribed()
        if not self.described:
            found.add(b"")
        self.implied = sorted(found - gone)

    def _describe_folder(self, folder: Folder, entry: Entry, path: bytes, new: bool) -> None:
        super()._describe_folder(folder, entry, path, new)
        self.described = self.described or not path

    def _make_special(self, folder: Folder, name: bytes, entry: Entry) -> int:
        if entry.type == tarread.CHAR and entry.major == entry.minor == 0:
            raise Invalid("is a device that overlayfs takes for a whiteout", hint=FLAT)
        return super()._make_special(folder, name, entry)


def white_out(folder: int, name: bytes, opaque: bytes) -> None:
    """What lower layers have at NAME in FOLDER is hidden; what is there is not."""
    try:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=folder)
        os.utime(name, (0, 0), dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            fd = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            try:
                make_opaque(fd, opaque)
            finally:
                os.close(fd)


def make_opaque(folder: int, opaque: bytes) -> None:
    try:
        os.setxattr(folder, opaque, b"y")
    except OSError as error:
        what, hint = f"set the attribute {opaque.decode()}", "layers have to be on a file system that keeps it: " + FLAT
        raise Failure(what, number=error.errno or 0, hint=hint) from error


def complete(own: int, implied: list[bytes], lowers: list[int]) -> None:
    """The layer OWN gets what depends on the LOWERS (the upper ones first): how folders are that it has without
    describing them, and, because overlayfs does not look for the attribute there, what its emptied root hides."""
    before = os.fstat(own)
    for opaque in (OPAQUE, OPAQUE_OF_USERS):
        if is_opaque(own, opaque):
            for name in {os.fsencode(name) for lower in lowers for name in os.listdir(lower)}:
                white_out(own, name, opaque)
            os.utime(own, ns=(before.st_atime_ns, before.st_mtime_ns))
    for path in implied:
        inherit(own, path, lowers)


def inherit(own: int, path: bytes, lowers: list[int]) -> None:
    """The folder PATH of the layer OWN, which does not describe it, is as in the LOWERS (the upper ones first); where
    it is in none it gets a time that is always the same."""
    found = -1 if _hidden(own, path) else _lookup(lowers, path)
    try:
        fd = files.open_nolinks(own, path or b".", FOLDER)
        try:
            if found < 0:
                os.utime(fd, (0, 0))
            else:
                liken(fd, found)
        finally:
            os.close(fd)
    finally:
        if found >= 0:
            os.close(found)


def liken(fd: int, other: int) -> None:
    """Gives a folder the owner, attributes, mode and times of another."""
    info = os.fstat(other)
    os.fchown(fd, info.st_uid, info.st_gid)
    for name in os.listxattr(other):
        if not attributes.skipped(os.fsencode(name)):
            os.setxattr(fd, name, os.getxattr(other, name))
    os.fchmod(fd, stat.S_IMODE(info.st_mode))
    os.utime(fd, ns=(info.st_atime_ns, info.st_mtime_ns))


def _lookup(lowers: list[int], path: bytes) -> int:
    for lower in lowers:
        mode = _mode(lower, path)
        if stat.S_ISDIR(mode):
            return files.open_nolinks(lower, path or b".", FOLDER)
        if stat.S_ISCHR(mode) or _hidden(lower, path):
            break
        if mode:
            raise Invalid(f"{shown(path)} is a folder here and none in a lower layer", hint=FLAT)
    return -1


def is_opaque(folder: int, *marks: bytes) -> bool:
    """Whether FOLDER hides what layers below have in it, by one of these attributes."""
    return any(os.fsencode(name) in marks for name in os.listxattr(folder))


def _hidden(layer: int, path: bytes) -> bool:
    """Whether LAYER hides all below it at PATH by one of the folders above that."""
    above = path
    while above:
        above = above.rpartition(b"/")[0]
        mode = _mode(layer, above)
        if stat.S_ISDIR(mode):
            fd = files.open_nolinks(layer, above or b".", FOLDER)
            try:
                if is_opaque(fd, OPAQUE, OPAQUE_OF_USERS):
                    return True
            finally:
                os.close(fd)
        elif stat.S_ISCHR(mode):
            return True
        elif mode:
            raise Invalid(f"{shown(above)} is a folder here and none in a lower layer", hint=FLAT)
    return False


def _mode(layer: int, path: bytes) -> int:
    """What is at PATH; 0 for nothing. Devices other than 0:0 count as files, links on the way as links."""
    try:
        fd = files.open_nolinks(layer, path or b".", LOOK)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise Invalid(f"{shown(path)} is behind a link of a lower layer", hint=FLAT) from error
    try:
        info = os.fstat(fd)
    finally:
        os.close(fd)
    return stat.S_IFREG if stat.S_ISCHR(info.st_mode) and info.st_rdev else info.st_mode
