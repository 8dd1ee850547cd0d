"""Compiled filters, kept by content: libseccomp takes milliseconds for a large profile, reading a file takes none.

A file is named by a digest of the profile, the machine and the version of the compiler here. Inside stand which
libseccomp compiled it (its file, and that file's size and time), flags, program, and a digest over all. A folder or
file that is not ours alone, or whose digest is wrong, is as if it were not there: the filter is compiled again. On the
hot path; must not load libseccomp.
"""

from __future__ import annotations

import posix
from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.seccomp import Seccomp

try:
    from _blake2 import blake2b  # hashlib loads OpenSSL, which takes longer than the rest of this module
except ImportError:
    from hashlib import blake2b

COMPILER = 2  # to be raised with every change of what compile.py makes of a profile
ROOT_FOLDER = "/run/pyrunc-cache"
# Magic, digest of what follows it, flags, length of the path, the library's size, its mtime in ns; then path, program.
HEAD = Struct("<8s32sIIqq")
MAGIC = b"PYRUNCSC"
DIGESTED = len(MAGIC) + 32  # where that begins which the digest covers
MAX_SIZE = 1 << 16
MAX_FILES = 128  # profiles on one host are few; a caller that makes up new ones must not fill /run
PRIVATE = 0o077


def default_folder() -> str | None:
    """Where this user keeps filters: /run/pyrunc-cache for root, never anything below $HOME, which may be another's."""
    if posix.geteuid() == 0:
        return ROOT_FOLDER
    runtime = posix.environ.get(b"XDG_RUNTIME_DIR", b"").decode("utf-8", "surrogateescape")
    return f"{runtime}/pyrunc-cache" if runtime.startswith("/") else None


def key(seccomp: Seccomp, machine: str, fail_unknown: bool = False) -> str:
    """The file name for a profile. `repr` of nested tuples of texts and numbers is different for different profiles."""
    content = (
        COMPILER,
        machine,
        seccomp.default_action,
        seccomp.default_errno_ret,
        seccomp.architectures,
        seccomp.flags,
        fail_unknown,
        [
            (call.names, call.action, call.errno_ret, [(a.index, a.value, a.value_two, a.op) for a in call.args])
            for call in seccomp.syscalls
        ],
    )
    return blake2b(repr(content).encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()


def load(folder: str, name: str) -> tuple[int, bytes] | None:
    """(flags, program) of the cached filter, None when there is none to be trusted."""
    try:
        directory = _open_folder(folder)
    except OSError:
        return None
    try:
        fd = posix.open(name, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK, dir_fd=directory)
        try:
            status = posix.fstat(fd)
            if not _regular(status.st_mode) or not _ours(status) or status.st_size > MAX_SIZE:
                return None
            data = posix.read(fd, MAX_SIZE)
        finally:
            posix.close(fd)
    except OSError:
        return None
    finally:
        posix.close(directory)
    return _unpack(data, name)


def _unpack(data: bytes, name: str) -> tuple[int, bytes] | None:
    if len(data) < HEAD.size:
        return None
    magic, digest, flags, length, size, mtime = HEAD.unpack_from(data)
    if magic != MAGIC or digest != _digest(data[DIGESTED:], name):
        return None
    try:
        library = posix.stat(data[HEAD.size : HEAD.size + length])
    except OSError:
        return None  # another libseccomp has taken its place, which may know more system calls
    if (library.st_size, library.st_mtime_ns) != (size, mtime):
        return None
    return flags, data[HEAD.size + length :]


def store(folder: str, name: str, flags: int, program: bytes, library: str) -> None:
    """Keeps a filter; a cache that cannot be written is no error."""
    try:
        status = posix.stat(library)
        path = library.encode("utf-8", "surrogateescape")
        head = HEAD.pack(MAGIC, bytes(32), flags, len(path), status.st_size, status.st_mtime_ns)
        body = head[DIGESTED:] + path + program
        data = MAGIC + _digest(body, name) + body
        if len(data) > MAX_SIZE:
            return
        try:
            posix.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        directory = _open_folder(folder)
    except OSError:
        return
    try:
        _make_room(directory)
        temporary = f".{name}.{posix.getpid()}"
        flags_new = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC | posix.O_NOFOLLOW
        fd = posix.open(temporary, flags_new, 0o600, dir_fd=directory)
        try:
            posix.write(fd, data)
        finally:
            posix.close(fd)
        # Renamed into place: a reader sees all of it or nothing; the last of two writers wins, with the same content.
        posix.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        pass
    finally:
        posix.close(directory)


def _open_folder(folder: str) -> int:
    """The folder, if it belongs to us alone; looked at through its fd, so that it cannot be exchanged in between."""
    fd = posix.open(folder, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    if _ours(posix.fstat(fd)):
        return fd
    posix.close(fd)
    raise PermissionError(1, "the cache belongs to somebody else", folder)


def _ours(status: posix.stat_result) -> bool:
    return status.st_uid == posix.geteuid() and not status.st_mode & PRIVATE


def _regular(mode: int) -> bool:
    return mode & 0o170000 == 0o100000


def _digest(body: bytes, name: str) -> bytes:
    """Over all behind the digest; keyed by the name, so that no file can stand in for another."""
    return blake2b(body, digest_size=32, key=name.encode()[:64]).digest()


def _make_room(directory: int) -> None:
    """Empties a cache that has grown too large: what is in use comes back by itself."""
    names = posix.listdir(directory)
    if len(names) < MAX_FILES:
        return
    for name in names:
        try:
            posix.unlink(name, dir_fd=directory)
        except OSError:
            pass
