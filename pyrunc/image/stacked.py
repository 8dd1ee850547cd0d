"""A bundle whose root file system is a stack of shared layers.

Its config.json says what is stacked (a mount on `/`, see "A root file system of layers" in docs/architecture.md), so
the container's own mount namespace has the stack and the host has none. What the container changes is in `upper`;
`layers` says what layers there are. Who is not root has layers of his own, made in a user namespace and for one.
Must never leave a mount behind, and never a bundle without its layers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fcntl import LOCK_SH
from typing import Any

from pyrunc.image import attributes, beginnings, layers, overlay, users, uses
from pyrunc.image.access import Access
from pyrunc.image.apply import Warn
from pyrunc.image.bundle import (
    is_rootless,
    publish,
    refuse_existing,
    runtime_document,
    warn_once,
    workplace_of,
    write_document,
)  # fmt: skip
from pyrunc.image.source import Image, open_source
from pyrunc.image.stackable import liken
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.image.mapped import Map


def unpack(
    source: str,
    bundle: str,
    platform: str | None,
    store: str,
    warn: Warn,
    access: Access | None = None,
    rootless: bool | None = None,
    erofs: bool = False,
) -> None:
    """Makes BUNDLE from the image SOURCE, whose layers are kept in the store STORE. ROOTLESS: by the own id alone."""
    bundle, maps = os.path.abspath(bundle), None
    if rootless or is_rootless():
        from pyrunc.image import mapped

        maps = mapped.own_id() if rootless else mapped.all_ids()
    if erofs:
        from pyrunc.image.erofs import check

        check()
    folder = uses.folder_of(store, maps)
    if maps is None:
        make(source, bundle, platform, folder, warn, access, erofs=erofs)
    else:
        mapped.stack({"source": source, "bundle": bundle, "platform": platform, "folder": folder}, maps, warn, access)


def make(
    source: str,
    bundle: str,
    platform: str | None,
    folder: str,
    warn: Warn,
    access: Access | None,
    maps: tuple[Map, Map] | None = None,
    erofs: bool = False,
) -> None:
    """The work itself. MAPS are those of the user namespace that we are in, when it was made for this."""
    refuse_existing(bundle)
    if os.path.lexists(bundle):
        raise Failure(f"make the bundle {bundle}", detail="it exists already")
    warn = warn_once(warn)
    # Locked until the bundle's use of the layers is noted, because until then nobody else knows of it.
    with closing(open_source(source, platform, access)) as image, layers.locked(folder, LOCK_SH):
        paths = layers.unpack(image, folder, warn, maps is not None, erofs)
        if not paths:
            raise Invalid("an image without layers", hint="unpack it without --layers")
        with workplace_of(bundle) as workplace:
            _furnish(workplace, paths)
            write_document(os.path.join(workplace, "config.json"), _document(workplace, image, paths, maps))
            beginnings.write(
                workplace, source, platform or "", image.config.diff_ids, warn, maps is not None, stacked=True
            )
            with uses.noted(folder, workplace, bundle, paths):
                publish(workplace, bundle)


def _furnish(workplace: str, paths: list[str]) -> None:
    for name, mode in (("", 0o700), ("rootfs", 0o755), ("upper", 0o755), ("work", 0o700)):
        path = os.path.join(workplace, name)
        os.makedirs(path, exist_ok=True)
        attributes.clear(os.fsencode(path))
        os.chmod(path, mode)
    # The folder on top is the one whose owner, mode and attributes are seen.
    with overlay.opened([paths[-1], os.path.join(workplace, "upper")]) as (top, upper):
        liken(upper, top)


def _document(workplace: str, image: Image, paths: list[str], maps: tuple[Map, Map] | None) -> dict[str, Any]:
    """config.json, with the stack as its first mount."""
    options = overlay.IN_USER_NAMESPACE if maps else ()
    upper, work = (os.path.join(workplace, name) for name in ("upper", "work"))
    with overlay.stacked(paths[::-1], upper, work, options) as root:
        user = users.resolve(image.config.execution.user, root)
    if maps and all(len(rows) == 1 for rows in maps):
        # One id alone is that of the image's user, and leaves no groups to set.
        maps = [(user.uid, maps[0][0][1], 1)], [(user.gid, maps[1][0][1], 1)]
        user = users.Identity(user.uid, user.gid)
    document = runtime_document(image, user, maps is not None, maps)
    words = [f"lowerdir+={path}" for path in reversed(paths)]
    words += ["upperdir=upper", "workdir=work", *overlay.OPTIONS, *options]
    document["mounts"].insert(0, {"destination": "/", "type": "overlay", "source": "overlay", "options": words})
    return document


# -- looking into one -------------------------------------------------------------------------------------------------


class Stack:
    """What config.json stacks: the layers, the uppermost first, and what is above them."""

    __slots__ = ("layers", "options", "upper", "work")

    def __init__(self, bundle: str) -> None:
        from pyrunc.bundle import load_bundle
        from pyrunc.sandbox.compile.stacked_root import folders

        loaded = load_bundle(bundle)
        mounts = loaded.spec.mounts
        if not mounts or mounts[0].destination != "/":
            hint = 'those of "pyrunc image unpack --layers" have it'
            raise Invalid(f"{bundle} has no stack of layers", "mounts[0]", hint)
        found = folders(mounts[0], loaded.path)
        self.layers = found["lowerdir+"]
        self.upper, self.work = found["upperdir"][0], found["workdir"][0]
        self.options = [word for word in overlay.IN_USER_NAMESPACE if word in mounts[0].options]
        for path in self.layers:
            if not os.path.exists(path):
                hint = "`pyrunc image unpack` makes it again"
                raise Failure(f"stack the layers of {bundle}", detail=f"the layer {path} is gone", hint=hint)

    @contextmanager
    def below(self) -> Iterator[int]:
        """A handle of the root file system without what has been changed."""
        with overlay.stacked(self.layers, options=self.options) as root:
            yield root


def mount(bundle: str, target: str) -> None:
    """Shows the root file system of BUNDLE on TARGET, read-only: a container may be at work in it."""
    stack = Stack(bundle)
    root = overlay.stack([stack.upper, *stack.layers], options=stack.options)
    try:
        overlay.attach(root, target)
    finally:
        os.close(root)


def unmount(target: str) -> None:
    if not os.path.ismount(target):
        raise Failure(f"unmount {target}", detail="nothing is mounted there")
    overlay.unmount(target)
