"""A bundle back into an image: one new layer of exactly what has changed since it was unpacked, or none.

What the bundle was unpacked as is known by what was noted then (`beginnings`). Where that leaves doubt about contents
(a copied bundle), and for bundles of other tools, the image is unpacked again for comparison, in a temporary folder.
Must never write to the bundle, except for what is noted of it when that is asked for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from pyrunc.image import beginnings, inventory
from pyrunc.image.access import Access
from pyrunc.image.apply import Applier
from pyrunc.image.beginnings import Beginning
from pyrunc.image.changes import Changes, compare, layer
from pyrunc.image.draft import Draft, epoch, open_draft
from pyrunc.image.inventory import Inventory, Warn
from pyrunc.image.making import Said, note
from pyrunc.image.source import Layer
from pyrunc.image.stream import contents
from pyrunc.image.tarread import FOLDER, Reader
from pyrunc.image.tarwrite import SECOND
from pyrunc.image.transport import need_one_registry
from pyrunc.image.workplace import workplace
from pyrunc.sandbox import files
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import Descriptor

PIECE = 1 << 20
UNFINISHED = "pyrunc-repack-"


def repack(
    bundle: str,
    target: str,
    *,
    base: str = "",
    platform: str = "",
    store: str = "",
    compress: str = "auto",
    masks: Sequence[str] = (),
    mask_volumes: bool = True,
    refresh: bool = False,
    said: Said | None = None,
    access: Access | None = None,
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
    beginnings.refuse_foreign(bundle, beginning)
    need_one_registry(access, source, target)
    draft = open_draft(source, platform or (beginning.platform if beginning else ""), store=store, access=access)
    with closing(draft):
        volumes = (draft.config.get("config") or {}).get("Volumes") or {} if mask_volumes else {}
        hidden = tuple(os.fsencode(path.strip("/")) for path in (*masks, *volumes) if path.strip("/"))
        with changed(bundle, beginning, draft, hidden, warn) as (root, new, changes):
            if changes:
                draft.add_layer(layer(root, new, changes, epoch()), compress)
                note(draft, said, "pyrunc image repack", layer=True)
            descriptor = draft.save(target, store=store, access=access)
    if refresh:
        mapped, stacked = (beginning.mapped, beginning.stacked) if beginning else (False, False)
        beginnings.write(bundle, target, platform, draft.diff_ids, warn, mapped, stacked)
    return descriptor, changes


def repack_as_caller(bundle: str, target: str, options: dict[str, Any], warn: Warn) -> str:
    """As `repack` with these OPTIONS, in a user namespace where the bundle's owners take that; the digest."""
    if os.geteuid() != 0:
        from pyrunc.image import mapped
        from pyrunc.image.store import default_folder

        beginning = beginnings.read(bundle)
        maps = mapped.ids_of(beginning)
        if maps:
            # Said here, because in there the caller is root.
            options = {**options, "store": options["store"] or default_folder()}
            return mapped.repack({"bundle": bundle, "target": target, **options}, maps, warn)
    return repack(bundle, target, **options, warn=warn)[0].digest


@contextmanager
def changed(
    bundle: str, beginning: Beginning | None, draft: Draft, masks: tuple[bytes, ...], warn: Warn
) -> Iterator[tuple[int, Inventory, Changes]]:
    """What is other in BUNDLE than in the image DRAFT: a folder (an fd) that has it, its inventory, the changes."""
    if beginning and beginning.stacked:
        from pyrunc.image import upper

        with upper.changed(bundle, draft, masks, warn) as found:
            yield found
        return
    root = beginnings.open_rootfs(bundle)
    try:
        new = inventory.take(root, warn, beginnings.owners(bundle))
        yield root, new, compare_bundle(root, new, beginning, draft, masks)
    finally:
        os.close(root)


def compare_bundle(
    root: int, new: Inventory, beginning: Beginning | None, draft: Draft, masks: tuple[bytes, ...] = ()
) -> Changes:
    """What has changed since BEGINNING, which began as DRAFT; without one, in comparison with that image."""
    if beginning and beginning.diff_ids != draft.diff_ids:
        beginning = None  # the name means another image by now, or it is another
    if beginning:
        doubtful: set[bytes] = set()

        def note(path: bytes) -> bool:
            doubtful.add(path)
            return True

        changes = compare(beginning.files, new, note, masks)
        if not doubtful:
            return changes
    with unpacked(draft) as handle:
        old = beginning.files if beginning else undated(inventory.take(handle, lambda message: None), new)
        return compare(old, new, lambda path: same_contents(root, handle, path), masks)


def undated(old: Inventory, new: Inventory) -> Inventory:
    """OLD, unpacked just now, with the times of NEW where they say nothing: folders that no layer describes have the
    time of their unpacking, and layers may have only whole seconds."""
    for path, record in old.items():
        now = new.get(path)
        if now and (record.type == FOLDER or record.mtime == now.mtime // SECOND * SECOND):
            record.mtime = now.mtime
    return old


@contextmanager
def unpacked(draft: Draft) -> Iterator[int]:
    """The root file system of an image as it was, in a temporary folder."""
    from pyrunc.image.bundle import is_rootless

    with workplace(tempfile.gettempdir(), UNFINISHED) as place:
        root = os.open(place, beginnings.FOLDER)
        try:
            os.fchmod(root, 0o755)
            applier = Applier(root, is_rootless(), lambda message: None)
            for descriptor, diff_id in draft.layers():
                made = Layer(descriptor.digest, descriptor.size, diff_id, partial(draft.blob, descriptor))
                with closing(contents(made)) as pieces:
                    applier.layer(Reader(pieces))
            applier.finish()
            yield root
        finally:
            os.close(root)


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
