"""The folders of a root file system while a layer is put on it: handles inside the root, left with the right times.

A name of an archive becomes a handle exactly once, here, by the path layer; everything else acts on the handle and
on one component that is never followed. Handles are kept, since most entries follow others of their folder, and
are dropped together when a folder or a symbolic link goes away: only that can make a path lead elsewhere.
Must never act on a path of more than one component outside the path layer.
"""

from __future__ import annotations

import errno
import os
import stat

from pyrunc.image import attributes
from pyrunc.sandbox import files

KEPT = 64  # handles kept open between entries
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

# What the layer has put into each folder, by inode number: whiteouts of the layer do not concern it, in whatever order.
Fresh = dict[int, set[bytes]]


class Folder:
    """One folder. `times` is what it gets when the handle is closed, because whatever is made inside changes them;
    `implied` is its path when no entry describes it, but some are in it."""

    __slots__ = ("fd", "fresh", "implied", "times")

    def __init__(self, times: tuple[int, int], fresh: set[bytes]) -> None:
        self.fd = -1
        self.times = times
        self.fresh = fresh
        self.implied: bytes | None = None


class Folders:
    """All folders that one layer touches."""

    def __init__(self, root: int, owner: bool) -> None:
        self.root = root
        self.owner = owner  # whether folders that no entry describes are given to root
        self.fresh: Fresh = {}
        self.by_inode: dict[int, Folder] = {}  # two paths may lead to one folder: its times are known once
        self.by_path: dict[bytes, Folder] = {}
        self.open: list[Folder] = []

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
        folder.implied = path
        parent.fresh.add(name)
        self.reset(folder.fd)
        return folder

    def enter(self, parent: Folder, name: bytes, path: bytes, new: bool) -> Folder:
        """The folder NAME in PARENT, which has just been made when NEW."""
        return self.adopt(path, os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=parent.fd), new)

    def adopt(self, path: bytes, fd: int, new: bool = False) -> Folder:
        info = os.fstat(fd)
        folder = self.by_inode.get(info.st_ino)
        if folder is None or new:  # a new folder may have the number of one that has gone
            names = self.fresh[info.st_ino] = set()
            folder = self.by_inode[info.st_ino] = Folder((info.st_atime_ns, info.st_mtime_ns), names)
        if folder.fd < 0:
            folder.fd = fd
            self.open.append(folder)
        else:
            os.close(fd)
        self.by_path[path] = folder
        return folder

    def reset(self, fd: int) -> None:
        """Gives a folder that no entry describes what one has by default."""
        if self.owner:
            os.fchown(fd, 0, 0)
        attributes.clear(fd)
        os.fchmod(fd, 0o755)

    def trim(self) -> None:
        """To be called between entries, when nobody holds a folder."""
        if len(self.open) > KEPT:
            self.close()

    def close(self, but: Folder | None = None) -> None:
        """Closes the handles (except one that is in use) and gives the folders their times."""
        for folder in self.open:
            if folder is not but:
                os.utime(folder.fd, ns=folder.times)
                os.close(folder.fd)
                folder.fd = -1
        self.open = [but] if but else []
        self.by_path = {}

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
        for name in _emptied(parent.fd, parent.fresh):
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
    if folders and name in folders.fresh.get(os.fstat(parent).st_ino, ()):
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return
    else:
        try:
            os.unlink(name, dir_fd=parent)
            return
        except FileNotFoundError:
            return
        except IsADirectoryError:
            pass
    here = _open(parent, name)
    try:
        path = [name]
        below = [_emptied(here, _fresh(here, folders))]
        while path:
            if below[-1]:
                path.append(below[-1].pop())
                here = _move(here, _open(here, path[-1]))
                below.append(_emptied(here, _fresh(here, folders)))
            else:
                below.pop()
                here = _move(here, os.open("..", FOLDER, dir_fd=here))
                _remove_empty(here, path.pop(), folders)
    finally:
        os.close(here)


def _remove_empty(parent: int, name: bytes, folders: Folders | None) -> None:
    if folders is None:
        os.rmdir(name, dir_fd=parent)
        return
    fresh = folders.fresh.setdefault(os.fstat(parent).st_ino, set())
    if name in fresh:
        return
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise
        # It stays for the sake of this layer's files in it, as if it had been removed before they made it anew.
        fresh.add(name)
        fd = _open(parent, name)
        try:
            folders.reset(fd)
        finally:
            os.close(fd)


def _fresh(fd: int, folders: Folders | None) -> set[bytes]:
    return folders.fresh.get(os.fstat(fd).st_ino, set()) if folders else set()


def _emptied(fd: int, fresh: set[bytes]) -> list[bytes]:
    """Removes the files in a folder that are not FRESH and returns the names of the folders."""
    below = []
    with os.scandir(fd) as entries:
        items = [(os.fsencode(item.name), item.is_dir(follow_symlinks=False)) for item in entries]
    for name, is_folder in items:
        if is_folder:
            below.append(name)
        elif name not in fresh:
            os.unlink(name, dir_fd=fd)
    return below


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
