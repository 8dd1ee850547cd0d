"""Layers unpacked once, shared by all images that have them.

    FOLDER/sha256/CHAIN-ID/diff           a layer as it is on top of those below it
    FOLDER/sha256/CHAIN-ID/layer.erofs    the same as one file that can be mounted, read-only for good
    FOLDER/bundles/...                    which layers bundles use (`uses.py`)

A layer is made in a folder of its own, several at a time, and gets its name only when all of it is on the disk. A lock
on FOLDER is shared by whoever makes or is about to use layers, and exclusive for who removes some.
Must never change a layer that has its name.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pyrunc.image import durable
from pyrunc.image.apply import Warn
from pyrunc.image.bundle import put
from pyrunc.image.overlay import opened
from pyrunc.image.source import Image
from pyrunc.image.stackable import LayerApplier, complete
from pyrunc.image.workplace import workplace
from pyrunc.specs.errors import Failure
from pyrunc.specs.image import chain_ids

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
FORMS = ("diff", "layer.erofs")
UNFINISHED = ".new-"


@contextmanager
def locked(folder: str, kind: int) -> Iterator[None]:
    """Holds a lock on FOLDER, which is made where it is missing."""
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        fd = os.open(folder, FOLDER)
    except OSError as error:
        raise Failure(f"use the folder {folder}", number=error.errno or 0) from error
    try:
        fcntl.flock(fd, kind)
        yield
    finally:
        os.close(fd)


def names(diff_ids: Sequence[str]) -> list[str]:
    """The folders of an image's layers, the lowest first."""
    return [chain.replace(":", "/", 1) for chain in chain_ids(tuple(diff_ids))]


def unpack(image: Image, folder: str, warn: Warn, rootless: bool = False, erofs: bool = False) -> list[str]:
    """IMAGE's layers below FOLDER, the lowest first; those that are missing are made, as images on EROFS. The caller
    holds the lock."""
    places = [os.path.join(folder, name) for name in names([layer.diff_id for layer in image.layers])]
    missing = [index for index, place in enumerate(places) if not found(place)]
    if missing:
        with ExitStack() as stack:
            try:
                made = {index: stack.enter_context(workplace(folder, UNFINISHED)) for index in missing}
                implied = _unpack_all(image, made, warn, rootless)
            except OSError as error:
                raise Failure(f"use the folder {folder}", number=error.errno or 0) from error
            for index in missing:
                try:
                    _complete(made[index], implied[index], [found(place) for place in places[:index]])
                    if erofs:
                        from pyrunc.image.erofs import convert

                        tree, file = (os.path.join(made[index], form) for form in FORMS)
                        convert(tree, file, os.path.basename(places[index]))
                    _name(made[index], places[index])
                except OSError as error:
                    raise Failure(f"keep {places[index]}", f"layers[{index}]", error.errno or 0) from error
    return [found(place) for place in places]


def found(place: str) -> str:
    """The layer in PLACE, a folder or an image; "" when there is none."""
    return next((path for form in FORMS if os.path.exists(path := os.path.join(place, form))), "")


def _unpack_all(image: Image, places: dict[int, str], warn: Warn, rootless: bool) -> dict[int, list[bytes]]:
    """Unpacks the layers into their places, as many at a time as there are processors; returns what each implies."""
    from concurrent.futures import ThreadPoolExecutor

    def one(index: int) -> list[bytes]:
        place = os.path.join(places[index], "diff")
        os.mkdir(place)
        os.chmod(place, 0o755)
        root = os.open(place, FOLDER)
        try:
            applier = LayerApplier(root, rootless, warn)
            put(applier, image.layers[index], index)
            applier.finish()
            return applier.implied
        finally:
            os.close(root)

    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        return dict(zip(places, pool.map(one, places), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _complete(place: str, implied: list[bytes], lower: Sequence[str]) -> None:
    """What a layer does not say of its folders comes from those below, which have their names already."""
    with opened([os.path.join(place, "diff"), *reversed(lower)]) as (own, *lowers):
        complete(own, implied, lowers)


def _name(place: str, final: str) -> None:
    """Gives a layer its name once all of it is on the disk."""
    durable.sync_all(place)
    above = os.path.dirname(final)
    os.makedirs(above, 0o700, exist_ok=True)
    try:
        os.rename(place, final)
    except OSError:
        if not found(final):  # otherwise somebody else has made the same meanwhile
            raise
    durable.sync(above)
