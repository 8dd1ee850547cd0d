"""What can be seen of changes: the history of an image, the differences between two images or in a bundle.

Must never change what it looks at.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from typing import Any

from pyrunc.image import beginnings, inventory
from pyrunc.image.access import Access
from pyrunc.image.changes import Changes
from pyrunc.image.draft import Draft, open_draft
from pyrunc.image.inventory import Warn
from pyrunc.image.repack import changed, compare_bundle, unpacked
from pyrunc.image.transport import need_one_registry
from pyrunc.specs.errors import Invalid


def history(draft: Draft) -> list[dict[str, Any]]:
    """The steps of the history, each with the layer that it made. Layers that no step speaks of come first: who changes
    an image without a history notes his own step, which made what is on top."""
    layers = [{"digest": layer["digest"], "size": layer["size"]} for layer in draft.manifest["layers"]]
    entries = draft.config.get("history") or []
    untold = max(0, len(layers) - sum(not entry.get("empty_layer") for entry in entries))
    steps: list[dict[str, Any]] = [{"layer": layer} for layer in layers[:untold]]
    told = iter(layers[untold:])
    for entry in entries:
        step = {key: value for key, value in entry.items() if key != "empty_layer"}
        layer = None if entry.get("empty_layer") else next(told, None)
        steps.append({**step, "layer": layer} if layer else step)
    return steps


def differences(
    after: str, before: str, *, platform: str, store: str, access: Access | None, warn: Warn
) -> list[tuple[str, str]]:
    """(A, M or D; path) of what is other in AFTER, an image or a bundle, than in the image BEFORE; without one, than
    in the image that the bundle AFTER was unpacked from."""
    bundle = os.path.isdir(os.path.join(after, "rootfs"))
    if not bundle and not before:
        raise Invalid(f"{after} is no bundle, and alone there is nothing to compare it with")
    with ExitStack() as stack:
        beginning = beginnings.read(after) if bundle else None
        beginnings.refuse_foreign(after, beginning)
        source = before or (beginning.source if beginning else "")
        if not source:
            raise Invalid(f"{after} was unpacked by another tool", hint="name the image as well")
        need_one_registry(access, source, "" if bundle else after)
        platform = platform or (beginning.platform if beginning else "")
        base = stack.enter_context(closing(open_draft(source, platform, store=store, access=access)))
        if bundle:
            _, _, changes = stack.enter_context(changed(after, beginning, base, (), warn))
        else:
            other = stack.enter_context(closing(open_draft(after, platform, store=store, access=access)))
            new = stack.enter_context(unpacked(other))
            changes = compare_bundle(new, inventory.take(new, warn), None, base)
    return listed(changes)


def differences_as_caller(after: str, before: str, options: dict[str, Any], warn: Warn) -> list[tuple[str, str]]:
    """The same with these OPTIONS, in a user namespace where the bundle AFTER takes that."""
    if os.geteuid() != 0 and os.path.isdir(os.path.join(after, "rootfs")):
        from pyrunc.image import mapped
        from pyrunc.image.store import default_folder

        maps = mapped.ids_of(beginnings.read(after))
        if maps:
            # Said here, because in there the caller is root.
            options = {**options, "store": options["store"] or default_folder()}
            return mapped.differences({"after": after, "before": before, **options}, maps, warn)
    return differences(after, before, **options, warn=warn)


def listed(changes: Changes) -> list[tuple[str, str]]:
    kinds = (("A", changes.added), ("M", changes.modified), ("D", changes.removed | changes.gone))
    return sorted(((kind, "/" + os.fsdecode(path)) for kind, paths in kinds for path in paths), key=lambda row: row[1])
