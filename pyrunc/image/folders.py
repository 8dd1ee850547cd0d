"""The folders of a root file system while a layer is put on it: handles inside the root, left with the right times.

A name of an archive becomes a handle exactly once, here, by the path layer; everything else acts on the handle and
on one component that is never followed. Handles are kept, since most entries follow others of their folder, and
are dropped together when a folder or a symbolic link goes away: only that can make a path lead elsewhere. Whoever
drops a handle gives the folder its times, so that they are right whenever nobody has one.
Must never act on a path of more than one component outside the path layer, and never remember every entry of a layer.
"""

from __future__ import annotations

import errno
import os
import stat

from pyrunc.image import attributes
from pyrunc.image.notes import Notes
from pyrunc.sandbox import files

KEPT = 64  # handles kept open between entries
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Folder:
    """One folder. `times` is what it gets when the handle is closed, because whatever is made inside changes them;
    `fresh`: all that is in it is of this layer."""

    __slots__ = ("fd", "fresh", "key", "times")

    def __init__(self, fd: int, key: bytes, times: tuple[int, int], fresh: bool) -> None:
        self.fd = fd
        self.key = key
        self.times = times
        self.fresh = fresh


class Folders:
    """All folders that one layer touches.

    Whiteouts of a layer do not concern what the layer itself has put there, in whatever order. So it is noted: keys of
    folders that it has made, in which all is its own, and in other folders, key and name of each entry.
    """

    def __init__(self, root: int, owner: bool, modes: Notes) -> None:
        self.root = root
        self.owner = owner  # whether folders that no entry describes are given to root
        self.modes = modes  # that folders get later, by their keys
        self.first = self._nothing_below()  # then all there is will be of this layer
        self.fresh = Notes()
        self.implied = Notes()  # paths of the folders that no entry describes, but some are in them, by their keys
        self.by_key: dict[bytes, Folder] = {}  # those with a handle; two paths may lead to one folder
        self.by_path: dict[bytes, Folder] = {}

    def _nothing_below(self) -> bool:
        handle = os.open(".", FOLDER, dir_fd=self.root)
        try:
            info = os.fstat(handle)
            with os.scandir(handle) as items:
                empty = next(items, None) is None
            os.utime(handle, ns=_times(info))  # as if nobody had looked
            return empty
        finally:
            os.close(handle)

    def find(self, path: bytes) -> Folder | None:
        """The folder at PATH (b"": the root itself), or None."""
        folder = self.by_path.get(path)
        if folder is None:
            try:
                fd = files.open_in_root(self.root, path or b".", FOLDER)
            except (FileNotFoundError, NotADirectoryError):
                return None
            folder = self.adopt(path, fd)
        return folder

    def make(self, path: bytes) -> Folder:
        """The folder at PATH; what is missing of it is made as 0755 of root."""
        folder = self.by_path.get(path)
        if folder is not None:
            return folder
        try:
            return self.adopt(path, files.open_in_root(self.root, path or b".", FOLDER))
        except FileNotFoundError:
            pass
        above, _, name = path.rpartition(b"/")
        parent = self.make(above)
        try:
            os.mkdir(name, 0o755, dir_fd=parent.fd)
        except FileExistsError:
            # A symbolic link that leads nowhere yet: what it names is made, inside the root.
            os.close(files.make_folders(self.root, path, 0o755))
            return self.adopt(path, files.open_in_root(self.root, path, FOLDER))
        folder = self.enter(parent, name, path, new=True)
        self.implied[folder.key] = path
        self.note(parent, name)
        self.reset(folder.fd)
        return folder

    def undescribed(self) -> set[bytes]:
        """The paths of `implied`, of folders that nothing has taken the place of."""
        found = set()
        for key, path in self.implied.by_value():
            self.trim()
            folder = self.find(path)
            if folder is not None and folder.key == key:
                found.add(path)
        return found

    def enter(self, parent: Folder, name: bytes, path: bytes, new: bool) -> Folder:
        """The folder NAME in PARENT, which has just been made when NEW."""
        return self.adopt(path, os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=parent.fd), new)

    def adopt(self, path: bytes, fd: int, new: bool = False) -> Folder:
        info = os.fstat(fd)
        key = key_of(info)
        folder = self.by_key.get(key)
        if folder is None:
            fresh = new or self.first or key in self.fresh
            folder = self.by_key[key] = Folder(fd, key, _times(info), fresh)
        else:
            os.close(fd)
        if new:
            if not self.first:
                self.fresh[key] = b""
            self.implied.discard(key)  # a new folder may have the number of one that has gone
        self.by_path[path] = folder
        return folder

    def note(self, folder: Folder, name: bytes) -> None:
        """NAME in FOLDER is of this layer."""
        if not folder.fresh:
            self.fresh[folder.key + name] = b""

    def is_fresh(self, parent: int, name: bytes) -> bool:
        """Whether NAME in the folder PARENT (an fd) is of this layer."""
        if self.first:
            return True
        key = key_of(os.fstat(parent))
        return key in self.fresh or key + name in self.fresh

    def reset(self, fd: int) -> None:
        """Gives a folder that no entry describes what one has by default."""
        if self.owner:
            os.fchown(fd, 0, 0)
        attributes.clear(fd)
        os.fchmod(fd, 0o755)
        self.modes.discard(key_of(os.fstat(fd)))

    def trim(self) -> None:
        """To be called between entries, when nobody holds a folder."""
        if len(self.by_path) > KEPT:
            self.close()

    def close(self, but: Folder | None = None) -> None:
        """Closes the handles (except one that is in use) and gives the folders their times."""
        for folder in self.by_key.values():
            if folder is not but:
                os.utime(folder.fd, ns=folder.times)
                os.close(folder.fd)
        self.by_key = {but.key: but} if but else {}
        self.by_path = {}

    def forget(self) -> None:
        """At the end of the layer."""
        self.close()
        self.fresh.close()
        self.implied.close()

    # -- removing -----------------------------------------------------------------------------------------------------

    def replace(self, parent: Folder, name: bytes) -> None:
        """Removes NAME and all below, because an entry takes its place."""
        if not _unlink_file(parent.fd, name):
            self.close(but=parent)
            remove(parent.fd, name)

    def white_out(self, parent: Folder, name: bytes) -> None:
        """Removes what lower layers have at NAME."""
        self.close(but=parent)
        remove(parent.fd, name, self)

    def make_opaque(self, parent: Folder) -> None:
        """Removes what lower layers have in PARENT."""
        self.close(but=parent)
        for name in _emptied(parent.fd, self):
            remove(parent.fd, name, self)


def _unlink_file(parent: int, name: bytes) -> bool:
    """Removes NAME if it is a file whose going cannot make any path lead elsewhere."""
    mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
        return False
    os.unlink(name, dir_fd=parent)
    return True


def remove(parent: int, name: bytes, folders: Folders | None = None) -> None:
    """Removes NAME in PARENT and all below it; given FOLDERS, all but what their layer has put there.

    Goes down and up again with one handle, however deep the tree is. ".." is safe: nobody else moves folders in here.
    """
    try:
        if folders is None or not folders.is_fresh(parent, name):
            os.unlink(name, dir_fd=parent)
            return
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return
    except FileNotFoundError:
        return
    except IsADirectoryError:
        pass
    here = _open(parent, name)
    try:
        path = [name]
        times = [_times(os.fstat(here))]
        below = [_emptied(here, folders)]
        while path:
            if below[-1]:
                path.append(below[-1].pop())
                here = _move(here, _open(here, path[-1]))
                times.append(_times(os.fstat(here)))
                below.append(_emptied(here, folders))
            else:
                below.pop()
                if folders:
                    os.utime(here, ns=times[-1])  # it may stay
                times.pop()
                here = _move(here, os.open("..", FOLDER, dir_fd=here))
                _remove_empty(here, path.pop(), folders)
    finally:
        os.close(here)


def _remove_empty(parent: int, name: bytes, folders: Folders | None) -> None:
    if folders is None:
        os.rmdir(name, dir_fd=parent)
        return
    if folders.is_fresh(parent, name):
        return
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        # It stays for the sake of this layer's files in it, as if it had been removed before they made it anew.
        folders.fresh[key_of(os.fstat(parent)) + name] = b""
        fd = _open(parent, name)
        try:
            folders.reset(fd)
        finally:
            os.close(fd)


def _emptied(fd: int, folders: Folders | None) -> list[bytes]:
    """Removes the files in a folder (given FOLDERS, those that are not of their layer) and returns the names of the
    folders."""
    below = []
    # Removed as they are read: there may be a million.
    with os.scandir(fd) as entries:
        for item in entries:
            name = os.fsencode(item.name)
            if item.is_dir(follow_symlinks=False):
                below.append(name)
            elif folders is None or not folders.is_fresh(fd, name):
                os.unlink(name, dir_fd=fd)
    return below


def key_of(info: os.stat_result) -> bytes:
    """A folder's inode number, by which it is known."""
    return info.st_ino.to_bytes(8, "big")


def _times(info: os.stat_result) -> tuple[int, int]:
    return info.st_atime_ns, info.st_mtime_ns


def _open(parent: int, name: bytes) -> int:
    try:
        return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    except PermissionError:
        # Without privileges a folder's own mode may lock its owner out.
        os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=parent)


def _move(here: int, there: int) -> int:
    os.close(here)
    return there
