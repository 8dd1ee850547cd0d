"""Layers unpacked once, shared by all images that have them, and mounts that stack them.

    FOLDER/sha256/CHAIN-ID/diff     a layer as it is on top of those below it

A layer is made in a folder of its own, several at a time, and gets its name only when all of it is on the disk.
Must never change a layer that has its name.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pyrunc.image.apply import Warn
from pyrunc.image.bundle import put
from pyrunc.image.source import Image
from pyrunc.image.stackable import LayerApplier, inherit
from pyrunc.image.workplace import workplace
from pyrunc.specs.errors import Failure
from pyrunc.specs.image import chain_ids

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
UNFINISHED = ".new-"
UMOUNT_NOFOLLOW = 8


def unpack(image: Image, folder: str, warn: Warn) -> list[str]:
    """The folders of IMAGE's layers below FOLDER, the lowest first; those that are missing are made."""
    names = [chain.replace(":", "/", 1) for chain in chain_ids(tuple(layer.diff_id for layer in image.layers))]
    paths = [os.path.join(folder, name, "diff") for name in names]
    missing = [index for index, path in enumerate(paths) if not os.path.isdir(path)]
    if missing:
        with ExitStack() as stack:
            try:
                os.makedirs(folder, 0o700, exist_ok=True)
                places = {index: stack.enter_context(workplace(folder, UNFINISHED)) for index in missing}
            except OSError as error:
                raise Failure(f"use the folder {folder}", number=error.errno or 0) from error
            implied = _unpack_all(image, places, warn)
            for index in missing:
                try:
                    _name(places[index], implied[index], paths, index)
                except OSError as error:
                    raise Failure(f"keep {names[index]}", f"layers[{index}]", error.errno or 0) from error
    return paths


def _unpack_all(image: Image, places: dict[int, str], warn: Warn) -> dict[int, list[bytes]]:
    """Unpacks the layers into their places, as many at a time as there are processors; returns what each implies."""
    from concurrent.futures import ThreadPoolExecutor

    def one(index: int) -> list[bytes]:
        place = os.path.join(places[index], "diff")
        os.mkdir(place)
        os.chmod(place, 0o755)
        root = os.open(place, FOLDER)
        try:
            applier = LayerApplier(root, warn)
            put(applier, image.layers[index], index)
            return applier.implied
        finally:
            os.close(root)

    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        return dict(zip(places, pool.map(one, places), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _name(place: str, implied: list[bytes], paths: Sequence[str], index: int) -> None:
    """Completes a layer from those below, which have their names already, and gives it its own."""
    with opened([os.path.join(place, "diff"), *reversed(paths[:index])]) as (own, *lowers):
        for path in implied:
            inherit(own, path, lowers)
        _checked(ctypes.CDLL(None, use_errno=True).syncfs(own))
    final = os.path.dirname(paths[index])
    above = os.path.dirname(final)
    os.makedirs(above, 0o700, exist_ok=True)
    try:
        os.rename(place, final)
    except OSError:
        if not os.path.isdir(paths[index]):  # otherwise somebody else has made the same meanwhile
            raise
    with opened([above]) as (fd,):
        os.fsync(fd)


# -- mounts -----------------------------------------------------------------------------------------------------------


def mount(paths: Sequence[str], upper: str, work: str, target: str) -> None:
    """Stacks the layers (the lowest first) below UPPER on TARGET."""
    with opened([*reversed(paths), upper, work]) as fds:
        # By handles, because paths may hold commas and colons, and forty of them would be more than the kernel takes.
        *lowers, above, working = (f"/proc/self/fd/{fd}" for fd in fds)
        options = f"lowerdir={':'.join(lowers)},upperdir={above},workdir={working}"
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            _checked(libc.mount(b"overlay", os.fsencode(target), b"overlay", 0, options.encode()))
        except OSError as error:
            raise Failure(f"mount the layers on {target}", number=error.errno or 0) from error


def unmount(target: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _checked(libc.umount2(os.fsencode(target), UMOUNT_NOFOLLOW))
    except OSError as error:
        raise Failure(f"unmount {target}", number=error.errno or 0) from error


@contextmanager
def opened(paths: Sequence[str]) -> Iterator[list[int]]:
    """Handles of folders."""
    fds: list[int] = []
    try:
        for path in paths:
            fds.append(os.open(path, FOLDER))
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
