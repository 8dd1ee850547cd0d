"""What has changed in a stacked bundle: read off the folder `upper`, where overlayfs puts every change, so that nothing
else is looked at however large the layers are.

overlayfs says there that something is gone by a device 0:0, and that a folder hides what is below it by an attribute.
Must never take for a change what was only copied up to be opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyrunc.image import inventory, layers, overlay
from pyrunc.image.changes import Changes, compare, parent
from pyrunc.image.draft import Draft
from pyrunc.image.inventory import Inventory, Warn
from pyrunc.image.repack import compare_bundle, same_contents
from pyrunc.image.stackable import OPAQUE, OPAQUE_OF_USERS, is_opaque
from pyrunc.image.stacked import Stack
from pyrunc.image.tarread import CHAR, FOLDER
from pyrunc.image.uses import name_of
from pyrunc.sandbox import files

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY


@contextmanager
def changed(
    bundle: str, draft: Draft, masks: tuple[bytes, ...], warn: Warn
) -> Iterator[tuple[int, Inventory, Changes]]:
    """What is other in BUNDLE than in the image DRAFT: a folder (an fd) that has it, its inventory, the changes."""
    stack = Stack(bundle)
    if [name_of(path) for path in reversed(stack.layers)] != layers.names(draft.diff_ids):
        # Another image than the one that is stacked: compared as a whole.
        with overlay.stacked([stack.upper, *stack.layers], options=stack.options) as root:
            new = inventory.take(root, warn)
            yield root, new, compare_bundle(root, new, None, draft, masks)
        return
    with stack.below() as base, overlay.opened([stack.upper]) as (upper,):
        mark = OPAQUE_OF_USERS if "userxattr" in stack.options else OPAQUE
        yield upper, *compare_upper(upper, base, mark, masks, warn)


def compare_upper(
    upper: int, base: int, mark: bytes, masks: tuple[bytes, ...], warn: Warn
) -> tuple[Inventory, Changes]:
    """The inventory of UPPER, where MARK is on folders that hide what is below, and what has become of the root file
    system BASE by it."""
    new = inventory.take(upper, warn)
    gone = [path for path, record in new.items() if record.type == CHAR and record.device == 0]
    for path in gone:
        del new[path]
    old: Inventory = {}
    for path in [*new, *gone]:
        if path not in old:
            hides = path in new and new[path].type == FOLDER and _hides(upper, path, mark)
            old.update(_below(base, path, hides))
    for path in {parent(path) for path in gone}:
        _add_sibling(base, path, old, new)
    return new, compare(old, new, lambda path: same_contents(upper, base, path), masks)


def _hides(upper: int, path: bytes, mark: bytes) -> bool:
    fd = files.open_nolinks(upper, path or b".", OPEN_FOLDER)
    try:
        return is_opaque(fd, mark)
    finally:
        os.close(fd)


def _below(base: int, path: bytes, all: bool) -> Inventory:
    """What BASE has at PATH, and on ALL everything below it. Names of one file are not linked: what changes one of them
    leaves the others as they are."""
    above, _, name = path.rpartition(b"/")
    try:
        folder = files.open_nolinks(base, above or b".", OPEN_FOLDER)
    except OSError:
        return {}  # nothing, or a file or a link where the folder is now
    try:
        (record,) = inventory.single(folder, name or b".", inventory.ROOT).values()
        found = {path: record}
        if all and record.type == FOLDER:
            below = os.open(name or b".", OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            try:
                inside = inventory.take(below, lambda message: None)
            finally:
                os.close(below)
            found |= {_join(path, part): record for part, record in inside.items() if part}
        for record in found.values():
            record.first = b""
        return found
    except FileNotFoundError:
        return {}
    finally:
        os.close(folder)


def _add_sibling(base: int, path: bytes, old: Inventory, new: Inventory) -> None:
    """One more of what is left in the folder PATH, if any is, so that it does not seem to have lost everything."""
    try:
        folder = files.open_nolinks(base, path or b".", OPEN_FOLDER)
    except OSError:
        return  # there is no such folder below, so nothing of it has gone
    try:
        for name in map(os.fsencode, os.listdir(folder)):
            sibling = _join(path, name)
            if sibling not in old:
                (record,) = inventory.single(folder, name, inventory.ROOT).values()
                old[sibling] = new[sibling] = record
                return
    finally:
        os.close(folder)


def _join(above: bytes, name: bytes) -> bytes:
    return above + b"/" + name if above else name
