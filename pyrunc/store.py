"""The state store: what pyrunc remembers of a container between two commands. Hot path.

One folder a container, `<root>/<id>/`, as docs/architecture.md has it; the front in C reads the same files. This module
must not change anything outside the root folder: no signals, no cgroups, no processes.
"""

from __future__ import annotations

import errno
import fcntl
import posix

from pyrunc.record import Damaged, Record
from pyrunc.specs.errors import Failure, PyruncError

DEFAULT_ROOT = "/run/pyrunc"

# Letters that an id may have; "." and ".." are no ids although they are made of them.
ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
ID_LENGTH = 255  # a folder's name


class NoContainer(PyruncError):
    """There is no container of that id, or none that has got as far as a state file."""

    def __init__(self) -> None:
        super().__init__("container does not exist")


class Busy(PyruncError):
    """Another command is at work on the container right now."""


class Folder:
    """A container's folder with its lock, which tells `creating` from what a killed `create` has left behind."""

    __slots__ = ("fd", "path")

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd

    def write(self, name: str, data: bytes) -> None:
        """Writes a file whole or not at all: readers see the old one or the new one, never a part."""
        hidden = f".{name}"
        try:
            fd = posix.open(
                hidden,
                posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_NOFOLLOW | posix.O_CLOEXEC,
                0o600,
                dir_fd=self.fd,
            )
            try:
                view = memoryview(data)
                while view:
                    view = view[posix.write(fd, view) :]
            finally:
                posix.close(fd)
            posix.rename(hidden, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        except OSError as error:
            raise Failure(f"write {self.path}/{name}", number=error.errno or 0) from None

    def write_record(self, record: Record) -> None:
        self.write("state", record.encode().encode("utf-8", "surrogateescape"))

    def remove(self) -> None:
        """Removes the folder with all that is in it, and gives the id free."""
        try:
            _empty(self.fd)
            posix.rmdir(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Failure(f"remove {self.path}", number=error.errno or 0) from None
        self.close()

    def close(self) -> None:
        """Lets go of the lock. Closing twice is harmless."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            posix.close(fd)


class Store:
    """The containers below one root folder."""

    __slots__ = ("root",)

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, id: str) -> str:
        """The folder of a container, which may not exist."""
        check_id(id)
        return f"{self.root}/{id}"

    def create(self, id: str) -> Folder:
        """Takes the id: makes and locks its folder. `mkdir` is what decides between two that try at once."""
        path = self.path(id)
        try:
            try:
                posix.mkdir(path, 0o700)
                return _lock(path)
            except FileNotFoundError:  # no root folder; or a `delete` took ours for a leftover before it was locked
                _make_root(self.root)
                posix.mkdir(path, 0o700)
                return _lock(path)
        except FileExistsError:
            raise PyruncError("container with given ID already exists", hint=f"`pyrunc state {id}` shows it") from None
        except OSError as error:
            raise self._refused(f"make the folder {path}", error) from None

    def lock(self, id: str) -> Folder:
        """Takes the lock of a container's folder. Does not wait: raises Busy while it is being created or deleted."""
        path = self.path(id)
        try:
            return _lock(path, fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"container {id} is being created or deleted by another command") from None
        except (FileNotFoundError, NotADirectoryError):
            raise NoContainer from None
        except OSError as error:
            raise self._refused(f"open {path}", error) from None

    def load(self, id: str) -> Record:
        """What is known of a container."""
        path = f"{self.path(id)}/state"
        try:
            text = read_text(path)
        except (FileNotFoundError, NotADirectoryError):
            raise NoContainer from None
        except OSError as error:
            raise self._refused(f"read {path}", error) from None
        try:
            return Record.decode(text)
        except Damaged as error:
            hint = f"`pyrunc delete --force {id}` removes it"
            raise Damaged(f"cannot read container {id}: {error}", hint=hint) from None
        except PyruncError as error:
            raise PyruncError(f"cannot read container {id}: {error}") from None

    def status(self, record: Record) -> str:
        """creating, created, running, paused or stopped; worked out from what is there now, never stored."""
        folder = self.path(record.id)
        if not record.pid:
            return "creating" if _is_locked(folder) else "stopped"
        if start_time(record.pid) != record.start:
            return "stopped"
        if _is_frozen(record.freezer):
            return "paused"
        return "created" if _exists(f"{folder}/start.sock") else "running"

    def ids(self) -> list[str]:
        """The ids that are taken, sorted. A root folder that does not exist yet has none."""
        try:
            names = posix.listdir(self.root)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._refused(f"list {self.root}", error) from None
        return sorted(name for name in names if _is_id(name))

    def _refused(self, operation: str, error: OSError) -> Failure:
        hint = None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = f"{self.root} is not yours: set XDG_RUNTIME_DIR, or give --root a folder that is"
        return Failure(operation, number=error.errno or 0, hint=hint)


def default_root() -> str:
    """Where containers are kept without --root: below XDG_RUNTIME_DIR for whoever is not the machine's root."""
    runtime = posix.environ.get(b"XDG_RUNTIME_DIR", b"")
    if not runtime:
        return DEFAULT_ROOT
    if posix.geteuid() == 0 and (posix.environ.get(b"USER") == b"root" or not in_user_namespace()):
        return DEFAULT_ROOT
    return runtime.decode("utf-8", "surrogateescape") + "/pyrunc"


def absolute(path: str) -> str:
    """A path from `/`, without `.`, `..` and doubled slashes; symbolic links are not looked at."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{posix.getcwd()}/{path}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def check_id(id: str) -> None:
    """Refuses what cannot be an id. Ids become names of folders: this is what keeps `../..` away from them."""
    if not id:
        raise PyruncError("container id cannot be empty")
    if not _is_id(id):
        raise PyruncError("invalid container ID format", hint="letters, digits and _ + - . are allowed, up to 255")


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is not alive (a zombie is not)."""
    try:
        text = read_text(f"/proc/{pid}/stat")
    except OSError as error:
        if _is_gone(pid):
            return None
        hint = "/proc must be that of this PID namespace and show all processes (no hidepid)"
        raise Failure(f"read /proc/{pid}/stat", number=error.errno or 0, hint=hint) from None
    # Behind the last ")" because a program chooses its name freely; from there on field 3, the state, comes first.
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZXx" else int(fields[19])


def _is_gone(pid: int) -> bool:
    try:
        posix.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # there, but another user's
    return False


def in_user_namespace() -> bool:
    """Whether uid 0 here is not the machine's root."""
    try:
        fields = read_text("/proc/self/uid_map").split()
    except OSError:
        return False  # a kernel without user namespaces
    return fields != ["0", "0", "4294967295"]


def read_text(path: str) -> str:
    """A whole file as text; bytes that are no UTF-8 survive a round trip."""
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        parts = []
        while part := posix.read(fd, 65536):
            parts.append(part)
    finally:
        posix.close(fd)
    return b"".join(parts).decode("utf-8", "surrogateescape")


def _is_id(name: str) -> bool:
    return len(name) <= ID_LENGTH and name not in ("", ".", "..") and ID_LETTERS.issuperset(name)


def _make_root(path: str) -> None:
    """Makes the root folder and its parents. Sticky, because cleaners of temporary folders leave sticky ones alone."""
    try:
        posix.mkdir(path, 0o1700)
    except FileNotFoundError:
        _make_root(path.rpartition("/")[0])
        posix.mkdir(path, 0o1700)
    except FileExistsError:
        pass


def _lock(path: str, how: int = 0) -> Folder:
    fd = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | how)
        if posix.fstat(fd).st_nlink == 0:  # removed while we waited; by now the path may be another container's
            raise FileNotFoundError(errno.ENOENT, "removed", path)
    except OSError:
        posix.close(fd)
        raise
    return Folder(path, fd)


def _is_locked(path: str) -> bool:
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        posix.close(fd)
    return False


def _is_frozen(freezer: tuple[str, str] | None) -> bool:
    if freezer is None:
        return False
    try:
        return read_text(freezer[1]).strip() in ("1", "FROZEN", "FREEZING")
    except OSError:
        return False  # the cgroup is gone, so nothing in it is frozen


def _exists(path: str) -> bool:
    try:
        posix.lstat(path)
    except OSError:
        return False
    return True


def _empty(fd: int) -> None:
    """Removes what a folder holds. Symbolic links are removed, never followed. The state goes last, because whoever
    finishes an interrupted `delete` needs it."""
    for name in sorted(posix.listdir(fd), key=lambda name: name == "state"):
        try:
            posix.unlink(name, dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EPERM):
                raise
            inner = posix.open(name, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC, dir_fd=fd)
            try:
                _empty(inner)
            finally:
                posix.close(inner)
            posix.rmdir(name, dir_fd=fd)
