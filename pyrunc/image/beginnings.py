"""Where a bundle began: the image that it was unpacked from and the inventory of its root file system at that time, in
`pyrunc.image.json` beside the root file system. So nothing of the image is read again to tell what has changed.

The owners in it are those in the container. Must never be needed to run the bundle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from pyrunc.image import inventory
from pyrunc.image.inventory import Inventory, Owner, Warn
from pyrunc.specs.errors import Failure, Invalid

NAME = "pyrunc.image.json"
VERSION = 1
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Beginning:
    """`mapped`: its files belong to subordinate ids of a user. `rootless`: all belong to one user. `stacked`: it is a
    stack of layers, noted without `files`, because what has been changed is in a folder of its own."""

    __slots__ = ("diff_ids", "files", "mapped", "platform", "rootless", "source", "stacked")

    def __init__(
        self,
        source: str,
        platform: str,
        diff_ids: list[str],
        files: Inventory,
        mapped: bool,
        rootless: bool,
        stacked: bool,
    ) -> None:
        self.source = source
        self.platform = platform
        self.diff_ids = diff_ids
        self.files = files
        self.mapped = mapped
        self.rootless = rootless
        self.stacked = stacked


def write(
    bundle: str,
    source: str,
    platform: str,
    diff_ids: Iterable[str],
    warn: Warn,
    mapped: bool = False,
    stacked: bool = False,
) -> None:
    """Notes how the folder BUNDLE is now, in which `rootfs` has just been unpacked from SOURCE."""
    document = {
        "version": VERSION,
        "source": _absolute(source),
        "platform": platform,
        "mapped": mapped,
        "rootless": os.geteuid() != 0,
        "stacked": stacked,
        "diffIDs": list(diff_ids),
    }
    path = os.path.join(bundle, NAME)
    root = open_rootfs(bundle)
    try:
        with open(path + ".new", "wb") as file:
            # The list of files last, because it may be long: it is never in memory as a whole.
            file.write(json.dumps(document, separators=(",", ":")).encode()[:-1])
            file.write(b',"files":[')
            before = b""
            for rows in () if stacked else inventory.rows(root, warn, owners(bundle)):
                file.write(before + rows)
                before = b","
            file.write(b"]}")
    finally:
        os.close(root)
    os.rename(path + ".new", path)


def read(bundle: str) -> Beginning | None:
    """What is noted beside BUNDLE; None where it was another tool that unpacked it."""
    path = os.path.join(bundle, NAME)
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"read {path}", number=error.errno or 0) from error
    except ValueError:
        raise Invalid(f"{path} is damaged") from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise Invalid(f"{path} is not of version {VERSION}")
    source, platform, ids = (document.get(key) for key in ("source", "platform", "diffIDs"))
    if not (isinstance(source, str) and isinstance(platform, str) and isinstance(ids, list)):
        raise Invalid(f"{path} is damaged")
    mapped, rootless, stacked = (document.get(key) is True for key in ("mapped", "rootless", "stacked"))
    return Beginning(source, platform, ids, inventory.load(document.get("files")), mapped, rootless, stacked)


def refuse_foreign(bundle: str, beginning: Beginning | None) -> None:
    """The owners of a user's files mean what they should to that user alone: to others each would be another one."""
    if beginning is None or not (beginning.mapped or (beginning.rootless and os.geteuid() == 0)):
        return
    if os.stat(os.path.join(bundle, "rootfs")).st_uid != 0:
        hint = "do it as that user" + (", in `unshare --map-auto --map-root-user`" if beginning.mapped else "")
        raise Invalid(f"the files of {bundle} belong to ids of a user", hint=hint)


def open_rootfs(bundle: str) -> int:
    path = os.path.join(bundle, "rootfs")
    try:
        return os.open(path, FOLDER | os.O_NOFOLLOW)
    except OSError as error:
        raise Failure(f"read the bundle {bundle}", number=error.errno or 0, detail="it has no folder rootfs") from error


def owners(bundle: str) -> Owner:
    """How ids of files become those in the container.

    A bundle made with --rootless has all files of one user, who is root in there: who is somebody else stands in
    attributes. In any other the ids are real, in the namespace that we are in.
    """
    info = os.stat(os.path.join(bundle, "rootfs"))
    return inventory.ROOT if os.geteuid() == 0 else (info.st_uid, info.st_gid)


def _absolute(source: str) -> str:
    """SOURCE with a path that means the same from every folder."""
    from pyrunc.image.reference import FILES, parse_place

    place: Any = parse_place(source)
    if place.transport in FILES:
        place.path = os.path.abspath(place.path)
    return str(place)
