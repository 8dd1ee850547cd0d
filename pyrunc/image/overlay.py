"""Layers stacked by overlayfs, and EROFS images, as file systems that are mounted nowhere on the host: whoever holds
the handle sees them, and they end with it, so that nothing stays however we end.

The same that the launcher does for a container (native/launcher/stack.c), for those who look into a stack without one.
Must never follow what a layer says about overlayfs itself (OPTIONS).
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from errno import EPERM

from pyrunc.specs.errors import Failure

# What is said explicitly, because kernels are built with different defaults: a layer may not lead elsewhere (redirect),
# `upper` holds whole files (metacopy), and may be copied (index).
OPTIONS = ("index=off", "redirect_dir=nofollow", "metacopy=off")
IN_USER_NAMESPACE = ("userxattr",)
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
MAX_VALUE = 255  # bytes that fsconfig(2) takes of a text

SYS_MOVE_MOUNT, SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 429, 430, 431, 432  # on every architecture
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
SET_FLAG, SET_STRING, CREATE = 0, 1, 6
RDONLY, NOSUID, NODEV = 1, 2, 4
MOVE_BY_HANDLES = 0x44  # MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
CLONE_NEWNS, MS_PRIVATE_REC, UMOUNT_NOFOLLOW = 0x20000, 0x44000, 8
HINTS = {
    "overlay": "it takes root, or Linux 5.11 in a user namespace; more than 80 layers take Linux 6.7",
    "erofs": "a file that is an EROFS image takes root, Linux 6.12, and a place that is not on tmpfs",
}
libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def opened(paths: Sequence[str]) -> Iterator[list[int]]:
    """Handles to read layers by: of a folder, or of the file system that an image is."""
    fds: list[int] = []
    try:
        for path in paths:
            fds.append(_open(path))
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def stacked(layers: Sequence[str], upper: str = "", work: str = "", options: Sequence[str] = ()) -> Iterator[int]:
    """A handle of the root of LAYERS (the uppermost first), with UPPER for changes if there is one."""
    if len(layers) == 1 and not upper:  # overlayfs takes two at least
        with opened(layers) as (root,):
            yield root
        return
    root = _readable(stack(layers, upper, work, options))
    try:
        yield root
    finally:
        os.close(root)


def stack(layers: Sequence[str], upper: str = "", work: str = "", options: Sequence[str] = ()) -> int:
    """The same as a mere handle, which can be attached."""

    def make() -> int:
        with ExitStack() as fds:
            lowers = [_hold(fds, _layer(path)) for path in layers]
            words = [*OPTIONS, *options, *_layer_options(lowers)]
            for name, path in (("upperdir", upper), ("workdir", work)):
                if path:
                    words.append(f"{name}={_hold(fds, os.open(path, FOLDER))}")
            return _new("overlay", "overlay", words, 0 if upper else RDONLY)

    return _apart(make)


def _open(path: str) -> int:
    return _readable(_apart(lambda: _image(path))) if is_image(path) else os.open(path, FOLDER)


def is_image(path: str) -> bool:
    return stat.S_ISREG(os.stat(path).st_mode)


def _hold(fds: ExitStack, fd: int) -> int:
    fds.callback(os.close, fd)
    return fd


def _layer(path: str) -> int:
    """A layer as overlayfs takes it. Before Linux 6.15 an image had to be mounted somewhere: here on its own folder."""
    if not is_image(path):
        return os.open(path, FOLDER)
    image = _image(path)
    try:
        attach(image, os.path.dirname(path))
    except Failure:
        os.close(image)
        raise
    return image


def _image(path: str) -> int:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _new("erofs", str(file), ("ro",), RDONLY | NOSUID | NODEV)
    finally:
        os.close(file)


def _layer_options(fds: Sequence[int]) -> list[str]:
    """One option of some eighty numbers is for every kernel, an option for each for Linux 6.7 and later."""
    joined = ":".join(map(str, fds))
    return [f"lowerdir={joined}"] if len(joined) <= MAX_VALUE else [f"lowerdir+={fd}" for fd in fds]


def _apart(make: Callable[[], int]) -> int:
    """What MAKE makes, in a thread with mounts of its own (in a user namespace only there it may mount), whose working
    directory is the folder of our handles: these are named by their numbers, which are short and have no commas."""

    def enter_and_make() -> int:
        _checked(libc.unshare(CLONE_NEWNS))
        _checked(libc.mount(None, b"/", None, MS_PRIVATE_REC, None))
        os.chdir("/proc/self/fd")
        return make()

    with ThreadPoolExecutor(1) as pool:
        try:
            return pool.submit(enter_and_make).result()
        except OSError as error:
            hint = "only root may, or root of a user namespace" if error.errno == EPERM else None
            raise Failure("look into layers", number=error.errno or 0, hint=hint) from error


def _new(kind: str, source: str, options: Sequence[str], attributes: int) -> int:
    """A new file system that is mounted nowhere."""
    context = -1
    try:
        context = _checked(libc.syscall(SYS_FSOPEN, kind.encode(), FSOPEN_CLOEXEC))
        _configure(context, SET_STRING, b"source", source.encode())
        for option in options:
            key, equals, value = option.partition("=")
            _configure(context, SET_STRING if equals else SET_FLAG, key.encode(), value.encode() if equals else None)
        _configure(context, CREATE, None, None)
        return _checked(libc.syscall(SYS_FSMOUNT, context, FSMOUNT_CLOEXEC, attributes))
    except OSError as error:
        number = error.errno or 0
        raise Failure(f"make a file system of type {kind}", "", number, _words(context), HINTS[kind]) from error
    finally:
        if context >= 0:
            os.close(context)


def _configure(context: int, command: int, key: bytes | None, value: bytes | None) -> None:
    _checked(libc.syscall(SYS_FSCONFIG, context, command, key, value, 0))


def _words(context: int) -> str:
    """What the kernel has to say of a file system's making: a message a read, each begins with its kind."""
    found = []
    try:
        while context >= 0:
            found.append(os.read(context, 512)[2:].decode("utf-8", "replace").strip())
    except OSError:
        pass  # that was the last
    return ": ".join(found)


def _readable(mount: int) -> int:
    """A handle of MOUNT to read by. It keeps the file system when that of the mount is closed."""
    try:
        return os.open(".", FOLDER, dir_fd=mount)
    finally:
        os.close(mount)


def attach(root: int, target: str) -> None:
    """Mounts the file system ROOT on the folder TARGET."""
    try:
        place = os.open(target, FOLDER | os.O_NOFOLLOW)
        try:
            _checked(libc.syscall(SYS_MOVE_MOUNT, root, b"", place, b"", MOVE_BY_HANDLES))
        finally:
            os.close(place)
    except OSError as error:
        raise Failure(f"mount the layers on {target}", number=error.errno or 0) from error


def unmount(target: str) -> None:
    try:
        _checked(libc.umount2(os.fsencode(target), UMOUNT_NOFOLLOW))
    except OSError as error:
        raise Failure(f"unmount {target}", number=error.errno or 0) from error


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
