"""A bundle whose root file system is a stack of shared layers: `rootfs` is a mount, what the container changes is in
`upper`, and `layers` says which layers there are, so that the mount can be made again after the machine has been off.

Must never leave a mount behind when the bundle could not be made.
"""

from __future__ import annotations

import os
import shutil

from pyrunc.image import attributes, layers, users
from pyrunc.image.access import Access
from pyrunc.image.apply import Warn
from pyrunc.image.bundle import (
    publish,
    refuse_existing,
    runtime_document,
    warn_once,
    workplace_of,
    write_document,
)  # fmt: skip
from pyrunc.image.source import open_source
from pyrunc.image.store import default_folder
from pyrunc.specs.errors import Failure, Invalid

LIST = "layers"


def unpack(
    source: str, bundle: str, platform: str | None, folder: str | None, warn: Warn, access: Access | None = None
) -> None:
    """Makes BUNDLE from the image SOURCE, whose layers are kept in FOLDER (None: in the store)."""
    if os.geteuid() != 0:
        raise Failure(f"make the bundle {bundle}", number=1, hint="only root mounts layers; unpack without --layers")
    bundle = os.path.abspath(bundle)
    refuse_existing(bundle)
    if os.path.lexists(bundle):
        raise Failure(f"make the bundle {bundle}", detail="it exists already")
    warn = warn_once(warn)
    image = open_source(source, platform, access)
    try:
        paths = layers.unpack(image, os.path.abspath(folder or os.path.join(default_folder(), "layers")), warn)
        if not paths:
            raise Invalid("an image without layers", hint="unpack it without --layers")
        with workplace_of(bundle) as workplace:
            prepare(workplace, paths)
            rootfs = os.path.join(workplace, "rootfs")
            mount(workplace)
            try:
                with layers.opened([rootfs]) as (root,):
                    user = users.resolve(image.config.execution.user, root)
            finally:
                layers.unmount(rootfs)
            write_document(os.path.join(workplace, "config.json"), runtime_document(image, user, False))
            publish(workplace, bundle)
    finally:
        image.close()
    mount(bundle)


def prepare(workplace: str, paths: list[str]) -> None:
    for name, mode in (("", 0o700), ("rootfs", 0o755), ("upper", 0o755), ("work", 0o700)):
        path = os.path.join(workplace, name)
        os.makedirs(path, exist_ok=True)
        attributes.clear(os.fsencode(path))
        os.chmod(path, mode)
    upper = os.path.join(workplace, "upper")
    # The folder on top is the one whose owner, mode and attributes are seen.
    shutil.copystat(paths[-1], upper)
    info = os.stat(paths[-1])
    os.chown(upper, info.st_uid, info.st_gid)
    with open(os.path.join(workplace, LIST), "x", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(path + "\n" for path in paths)


def mount(bundle: str) -> None:
    """Mounts the layers of BUNDLE on its `rootfs`."""
    rootfs = os.path.join(bundle, "rootfs")
    if os.path.ismount(rootfs):
        raise Failure(f"mount the layers on {rootfs}", detail="something is mounted there")
    try:
        with open(os.path.join(bundle, LIST), encoding="utf-8", errors="surrogateescape") as file:
            paths = file.read().splitlines()
    except OSError as error:
        hint = 'it is there in bundles of "pyrunc image unpack --layers"'
        raise Failure(f"read the layers of {bundle}", number=error.errno or 0, hint=hint) from error
    for path in paths:
        if not os.path.isdir(path):
            raise Failure(f"mount the layers on {rootfs}", detail=f"the layer {path} is not there any more")
    layers.mount(paths, os.path.join(bundle, "upper"), os.path.join(bundle, "work"), rootfs)


def unmount(bundle: str) -> None:
    """Takes the mount away; changes stay in `upper`."""
    rootfs = os.path.join(bundle, "rootfs")
    if not os.path.ismount(rootfs):
        raise Failure(f"unmount {rootfs}", detail="nothing is mounted there")
    layers.unmount(rootfs)
