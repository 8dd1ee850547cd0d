"""A bundle back into an image: one new layer of exactly what has changed since it was unpacked, or none.

What the bundle was unpacked as is known by what was noted then (`beginnings`). Where that leaves doubt about contents
(a copied bundle), and for bundles of other tools, the image is unpacked again for comparison, in a temporary folder.
Must never write to the bundle, except for what is noted of it when that is asked for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pyrunc.image import beginnings, inventory
from pyrunc.image.beginnings import Beginning
from pyrunc.image.changes import Changes, compare, layer
from pyrunc.image.draft import Draft, epoch, open_draft
from pyrunc.image.inventory import Inventory, Warn
from pyrunc.sandbox import files
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import Descriptor

PIECE = 1 << 20


class History:
    """What the history says of a change; "" is what it says by itself."""

    __slots__ = ("author", "comment", "created", "created_by", "kept")

    def __init__(
        self, author: str = "", comment: str = "", created: str = "", created_by: str = "", kept: bool = True
    ) -> None:
        self.author = author
        self.comment = comment
        self.created = created
        self.created_by = created_by
        self.kept = kept

    def add(self, draft: Draft, created_by: str, layer: bool) -> None:
        if self.kept:
            draft.add_history(
                self.created_by or created_by,
                author=self.author,
                comment=self.comment,
                created=self.created,
                layer=layer,
            )


def repack(
    bundle: str,
    target: str,
    *,
    base: str = "",
    platform: str = "",
    store: str = "",
    compress: str = "auto",
    masks: tuple[str, ...] = (),
    mask_volumes: bool = True,
    refresh: bool = False,
    history: History | None = None,
    warn: Warn = lambda message: None,
) -> tuple[Descriptor, Changes]:
    """Makes TARGET of the image that BUNDLE was unpacked from (or of BASE) and of what has changed in it since.

    A tree in which nothing has changed gives the image that it came from. REFRESH notes the bundle as unpacked from
    TARGET. What is at or below one of MASKS, and by MASK_VOLUMES one of the image's volumes, is left out.
    """
    beginning = beginnings.read(bundle)
    source = base or (beginning.source if beginning else "")
    if not source:
        hint = "--base IMAGE says which image it was unpacked from"
        raise Invalid(f"{bundle} has no {beginnings.NAME}: it was unpacked by another tool", hint=hint)
    draft = open_draft(source, platform or (beginning.platform if beginning else ""), store=store)
    root = beginnings.open_rootfs(bundle)
    try:
        if beginning and beginning.diff_ids != draft.diff_ids:
            beginning = None  # the name means another image by now, or --base says another
        volumes = (draft.config.get("config") or {}).get("Volumes") or {} if mask_volumes else {}
        hidden = tuple(os.fsencode(path.strip("/")) for path in (*masks, *volumes) if path.strip("/"))
        new = inventory.take(root, warn, beginnings.owners(bundle))
        changes = compare_bundle(root, new, beginning, source, platform, hidden)
        if changes:
            draft.add_layer(layer(root, new, changes, epoch()), compress)
            (history or History()).add(draft, "pyrunc image repack", layer=True)
        descriptor = draft.save(target, store=store)
    finally:
        os.close(root)
        draft.close()
    if refresh:
        beginnings.write(bundle, target, platform, draft.diff_ids, warn)
    return descriptor, changes


def compare_bundle(
    root: int, new: Inventory, beginning: Beginning | None, source: str, platform: str, masks: tuple[bytes, ...]
) -> Changes:
    """What has changed since BEGINNING; without one, in comparison with the image SOURCE."""
    if beginning:
        doubtful: set[bytes] = set()

        def note(path: bytes) -> bool:
            doubtful.add(path)
            return True

        changes = compare(beginning.files, new, note, masks)
        if not doubtful:
            return changes
    with unpacked(source, platform) as handle:
        old = beginning.files if beginning else inventory.take(handle, lambda message: None)
        return compare(old, new, lambda path: same_contents(root, handle, path), masks)


@contextmanager
def unpacked(source: str, platform: str) -> Iterator[int]:
    """The root file system of an image in a temporary folder."""
    from pyrunc.image.bundle import discard, make

    place = tempfile.mkdtemp(prefix="pyrunc-repack-")
    try:
        bundle = os.path.join(place, "bundle")
        make(source, bundle, platform or None, os.geteuid() != 0, lambda message: None)
        root = beginnings.open_rootfs(bundle)
        try:
            yield root
        finally:
            os.close(root)
    finally:
        discard(place)


def same_contents(one: int, other: int, path: bytes) -> bool:
    """Whether two root folders have the same bytes in the file at PATH."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with (
        open(files.open_nolinks(one, path, flags), "rb", buffering=0) as ours,
        open(files.open_nolinks(other, path, flags), "rb", buffering=0) as theirs,
    ):
        while True:
            piece = ours.read(PIECE)
            if piece != theirs.read(PIECE):
                return False
            if not piece:
                return True
