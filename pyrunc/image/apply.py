"""Puts a layer on a root file system: every entry of its archive, in order, by the rules of the image specification.

Nothing in a layer is trusted: names are confined by `folders`, numbers are checked, and what is not understood is
refused.
Must never follow a symbolic link of the last component, never act on a path, and never leave an entry half
described: create, then owner, then extended attributes (chown drops security.capability), then mode (chown drops
setuid), then times.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

from pyrunc.image import attributes, tarread
from pyrunc.image.fields import shown
from pyrunc.image.folders import Folder, Folders, key_of
from pyrunc.image.notes import Notes
from pyrunc.image.tarread import Entry, Reader
from pyrunc.sandbox import files
from pyrunc.sandbox.plain import Maker
from pyrunc.specs.errors import Failure, Invalid

LIMIT_DEPTH = 256
SECOND = 1_000_000_000  # nanoseconds
LIMIT_TIME = (1 << 63) * SECOND  # beyond it is no time_t
LIMIT_ID = (1 << 32) - 1  # -1 is no id: chown takes it for "leave it as it is"
WHITEOUT, OPAQUE, PLUMBING = b".wh.", b".wh..wh..opq", b".wh..wh."
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Warn = Callable[[str], None]


class Applier:
    """Puts one layer after the other on the folder ROOT (an fd), then `finish`."""

    def __init__(self, root: int, rootless: bool, warn: Warn) -> None:
        self.root = root
        self.rootless = rootless
        self.keeps_owners = rootless and os.geteuid() != 0  # in an attribute, for all files are the caller's
        self.warn = warn
        self.modes = Notes()  # rootless: what folders get at the end that would lock us out, by their keys
        self.folders = Folders(root, not rootless, self.modes)
        self.inherited = False  # whether new files may come with an ACL of their folder
        self.maker = Maker()

    def layer(self, reader: Reader) -> None:
        self.folders = Folders(self.root, not self.rootless, self.modes)
        try:
            for entry in reader:
                self.folders.trim()
                try:
                    self._apply(entry, reader)
                    self._run(entry, reader)
                except OSError as error:
                    raise Failure(f"unpack {shown(entry.name)}", number=error.errno or 0) from error
                except OverflowError:
                    raise Invalid(f"{shown(entry.name)} has a number out of range") from None
                except Invalid as error:
                    raise Invalid(f"{shown(entry.name)}: {error.message}", hint=error.hint) from None
            self._settle()
        finally:
            self.folders.forget()

    def finish(self) -> None:
        """Gives the folders the modes that would have kept us from unpacking into them, those below before those
        above."""
        for key, value in self.modes.by_value():
            path, _, mode = value.partition(b"\0")
            try:
                fd = files.open_in_root(self.root, path or b".", os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue  # a later layer has put something else there
            if key_of(os.fstat(fd)) == key:
                os.fchmod(fd, int(mode))
            os.close(fd)
        self.modes.close()

    def _apply(self, entry: Entry, reader: Reader) -> None:
        if not (0 <= entry.uid < LIMIT_ID and 0 <= entry.gid < LIMIT_ID):
            raise Invalid(f"the owner {entry.uid}:{entry.gid} is out of range")
        # Now, because a folder gets its times only at the end of the layer.
        if not (-LIMIT_TIME <= entry.mtime < LIMIT_TIME and -LIMIT_TIME <= entry.atime < LIMIT_TIME):
            raise Invalid("a time is out of range")
        path = clean(entry.name)
        above, _, name = path.rpartition(b"/")
        if WHITEOUT in path and self._whiteout(above, name):
            return
        if not path:
            # A link in the place of the root would lead the next layer out (CVE-2021-29136).
            if entry.type != tarread.FOLDER:
                raise Invalid("the root can only be a folder")
            self._describe_folder(self.folders.make(b""), entry, path, new=False)
            return
        folder = self.folders.make(above)
        if entry.type == tarread.REGULAR:
            self._file(folder, name, entry, reader)
        elif entry.type == tarread.FOLDER:
            self._folder(folder, name, entry, path)
        elif entry.type == tarread.LINK:
            self._link(folder, name, entry)
        else:
            self._special(folder, name, entry)
        self.folders.note(folder, name)

    def _run(self, entry: Entry, reader: Reader) -> None:
        """After an entry, mostly others of its folder follow, or of one above: those that are ordinary in every
        respect are made by native code, up to the first that is not. All rules are here; there are none there."""
        # Only if each would be made, owned and described, and nothing else, by the rules below.
        if self.inherited or self.keeps_owners:
            return
        path = clean(entry.name)
        if entry.type != tarread.FOLDER:
            path = path.rpartition(b"/")[0]
        while data := reader.ahead():
            self.folders.trim()
            folder = self.folders.find(path)
            if folder is None or path.count(b"/") + 2 > LIMIT_DEPTH:
                return
            taken = self.maker.make(folder.fd, path, data, 0o700 if self.rootless else 0)
            reader.skip(taken, self.maker.run.entries)
            if not folder.fresh:
                for name in self.maker.names():
                    self.folders.note(folder, name)
            if self.maker.run.folder >= 0:
                path = self._made(path)
            elif self.maker.run.elsewhere and path:
                path = path.rpartition(b"/")[0]
            elif not taken:
                return

    def _made(self, above: bytes) -> bytes:
        """The path of the folder that native code has just made in ABOVE."""
        run, name = self.maker.run, self.maker.last()
        path = above + b"/" + name if above else name
        folder = self.folders.adopt(path, run.folder, new=True)
        folder.times = (run.mtime * SECOND, run.mtime * SECOND)
        self.modes.discard(folder.key)
        return path

    def _whiteout(self, above: bytes, name: bytes) -> bool:
        """Whether the entry is a whiteout, which then has been carried out."""
        parts = above.split(b"/")
        if any(part.startswith(PLUMBING) for part in parts):
            return True  # what aufs keeps for itself
        if any(part.startswith(WHITEOUT) for part in parts):
            raise Invalid("a whiteout cannot be a folder")
        if not name.startswith(WHITEOUT):
            return False
        if name == OPAQUE:
            self._empty(above)
        elif not name.startswith(PLUMBING):
            hidden = name[len(WHITEOUT) :]
            if hidden in (b"", b".", b".."):
                raise Invalid("a whiteout of nothing")
            self._hide(above, hidden)
        return True

    def _empty(self, path: bytes) -> None:
        """The folder PATH loses what lower layers have in it."""
        if folder := self.folders.find(path):
            self.folders.make_opaque(folder)

    def _hide(self, above: bytes, name: bytes) -> None:
        """Of lower layers there is no NAME in the folder ABOVE."""
        if folder := self.folders.find(above):
            self.folders.white_out(folder, name)

    def _settle(self) -> None:
        """What is to be done after the last entry of a layer."""

    # -- one kind of entry each ---------------------------------------------------------------------------------------

    def _file(self, folder: Folder, name: bytes, entry: Entry, reader: Reader) -> None:
        try:
            fd = os.open(name, NEW_FILE, 0o600, dir_fd=folder.fd)
        except FileExistsError:
            self.folders.replace(folder, name)
            fd = os.open(name, NEW_FILE, 0o600, dir_fd=folder.fd)
        try:
            if entry.regions is None:
                for part in reader.body():
                    write(fd, part)
            else:
                write_regions(fd, reader.body(), entry.regions, entry.real_size)
            self._own(fd, entry)
            if entry.xattrs or self.inherited:
                self._set_xattrs(fd, entry, clear=self.inherited)
            os.fchmod(fd, entry.mode)
            os.utime(fd, ns=(entry.atime, entry.mtime))
        finally:
            os.close(fd)

    def _folder(self, folder: Folder, name: bytes, entry: Entry, path: bytes) -> None:
        new = True
        try:
            os.mkdir(name, 0o700, dir_fd=folder.fd)
        except FileExistsError:
            new = not stat.S_ISDIR(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode)
            if new:
                self.folders.replace(folder, name)
                os.mkdir(name, 0o700, dir_fd=folder.fd)
        self._describe_folder(self.folders.enter(folder, name, path, new), entry, path, new)

    def _describe_folder(self, folder: Folder, entry: Entry, path: bytes, new: bool) -> None:
        self._own(folder.fd, entry)
        if entry.xattrs or self.inherited or not new:
            self._set_xattrs(folder.fd, entry, clear=self.inherited or not new)
        mode = entry.mode
        if self.rootless:
            self.modes.discard(folder.key)
            if mode & 0o700 != 0o700:
                self.modes[folder.key] = b"%b\0%d" % (path, mode)
                mode |= 0o700
        os.fchmod(folder.fd, mode)
        folder.times = (entry.atime, entry.mtime)
        self.folders.implied.discard(folder.key)

    def _link(self, folder: Folder, name: bytes, entry: Entry) -> None:
        """A hard link: a second name for something of this root, as it is; the entry's attributes do not count."""
        try:
            self._link_once(folder, name, entry)
        except FileExistsError:
            # Looked at before the old one goes, since a link to itself is nothing to do.
            if self._link_target(entry) != _identity(folder, name):
                self.folders.replace(folder, name)
                self._link_once(folder, name, entry)

    def _link_once(self, folder: Folder, name: bytes, entry: Entry) -> None:
        above, _, last = clean(entry.link).rpartition(b"/")
        source = self.folders.find(above)
        try:
            if source is None or not last:
                raise FileNotFoundError
            os.link(last, name, src_dir_fd=source.fd, dst_dir_fd=folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            raise Invalid(f"is a hard link to {shown(entry.link)}, which is not there") from None

    def _link_target(self, entry: Entry) -> int:
        above, _, last = clean(entry.link).rpartition(b"/")
        source = self.folders.find(above)
        return _identity(source, last) if source and last else -1

    def _special(self, folder: Folder, name: bytes, entry: Entry) -> None:
        """Symbolic links, devices and fifos: all that must not be opened."""
        try:
            mode = self._make_special(folder, name, entry)
        except FileExistsError:
            self.folders.replace(folder, name)
            mode = self._make_special(folder, name, entry)
        self._own(name, entry, folder.fd)
        if entry.xattrs or self.inherited:
            self._set_xattrs(b"/proc/self/fd/%d/%s" % (folder.fd, name), entry, clear=self.inherited)
        if entry.type != tarread.SYMLINK:
            os.chmod(name, mode, dir_fd=folder.fd)
        os.utime(name, ns=(entry.atime, entry.mtime), dir_fd=folder.fd, follow_symlinks=False)

    def _make_special(self, folder: Folder, name: bytes, entry: Entry) -> int:
        """Makes it and returns the mode it is to get."""
        if entry.type == tarread.SYMLINK:
            if not entry.link:
                raise Invalid("is a symbolic link to nothing")
            os.symlink(entry.link, name, dir_fd=folder.fd)
        elif entry.type == tarread.FIFO:
            os.mkfifo(name, 0o600, dir_fd=folder.fd)
        else:
            # The kernel would cut larger numbers down to those of another device.
            if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
                raise Invalid(f"the device number {entry.major}:{entry.minor} is out of range")
            kind = stat.S_IFCHR if entry.type == tarread.CHAR else stat.S_IFBLK
            try:
                os.mknod(name, kind | 0o600, os.makedev(entry.major, entry.minor), dir_fd=folder.fd)
            except PermissionError:
                if not self.rootless:
                    raise
                os.mknod(name, stat.S_IFREG | 0o600, dir_fd=folder.fd)
                return 0
        return entry.mode

    # -- what entries are described by --------------------------------------------------------------------------------

    def _own(self, file: int | bytes, entry: Entry, folder: int | None = None) -> None:
        """Gives a file (an fd, or a name in FOLDER) its owner, or has `_set_xattrs` keep it where that is beyond us."""
        if not self.keeps_owners:
            try:
                os.chown(file, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=isinstance(file, int))
                return
            except OSError as error:
                # EINVAL: an id that the user namespace does not have.
                if not (self.rootless and error.errno in (errno.EPERM, errno.EINVAL)):
                    raise
        entry.xattrs = attributes.with_owner(entry.xattrs, entry.uid, entry.gid)

    def _set_xattrs(self, file: int | bytes, entry: Entry, clear: bool) -> None:
        if clear:
            attributes.clear(file)
        for attribute, value in entry.xattrs.items():
            if attributes.skipped(attribute):
                continue
            self.inherited = self.inherited or attribute == b"system.posix_acl_default"
            try:
                os.setxattr(file, attribute, value, follow_symlinks=isinstance(file, int))
            except OSError as error:
                self._not_set(error, attribute)

    def _not_set(self, error: OSError, attribute: bytes) -> None:
        """Not every file system has every attribute, and not everybody may set them.

        EINVAL: an access list of ids that the user namespace does not have.
        """
        passed = {errno.ENOTSUP}
        if self.rootless:
            passed |= {errno.EPERM, errno.EINVAL}
        elif attribute.startswith(b"user."):
            passed.add(errno.EPERM)  # on links and devices nobody may
        if error.errno not in passed:
            raise error
        self.warn(f"extended attributes such as {shown(attribute)} cannot be set here")


def clean(name: bytes) -> bytes:
    """NAME as it counts from the root: no empty parts, no ".", no ".."; b"" for the root itself, where ".." ends."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part and part != b".":
            parts.append(part)
    if len(parts) > LIMIT_DEPTH:
        raise Invalid(f"is more than {LIMIT_DEPTH} folders deep")
    return b"/".join(parts)


def write(fd: int, part: memoryview) -> None:
    written = os.write(fd, part)
    while written < len(part):
        part = part[written:]
        written = os.write(fd, part)


def write_regions(fd: int, parts: Iterator[memoryview], regions: list[tuple[int, int]], size: int) -> None:
    """Writes the bytes of a sparse file where they belong; the reader has checked that there are enough."""
    part = memoryview(b"")
    for start, length in regions:
        offset, end = start, start + length
        while offset < end:
            part = part or next(parts)
            written = os.pwrite(fd, part[: end - offset], offset)
            part = part[written:]
            offset += written
    os.ftruncate(fd, size)


def _identity(folder: Folder, name: bytes) -> int:
    try:
        return os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return -1
