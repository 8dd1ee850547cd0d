"""Images made and changed: the part of `pyrunc.images` that does not only carry them from place to place.

`said` is what the image's history says of a change, and is left to the function where it is None. The new image goes
to `target`, or where that is "" takes the place of the old one. `compress` is `gzip`, `zstd`, `none` or `auto`: as the
uppermost layer is. Importing this loads little. Must never print.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pyrunc.image.access import Access
    from pyrunc.image.draft import Draft
    from pyrunc.specs.image import Descriptor


class Said:
    """What an image's history says of a change: who made it, what for, when (RFC 3339), by which command; "" is what
    the function says by itself. Not `kept`, it says nothing."""

    __slots__ = ("author", "comment", "created", "created_by", "kept")

    def __init__(
        self, author: str = "", comment: str = "", created: str = "", created_by: str = "", kept: bool = True
    ) -> None:
        self.author = author
        self.comment = comment
        self.created = created
        self.created_by = created_by
        self.kept = kept


def silent(message: str) -> None:
    """Nobody is told."""


def repack(
    bundle: str,
    target: str,
    *,
    base: str = "",
    platform: str = "",
    store: str = "",
    access: Access | None = None,
    compress: str = "auto",
    masks: Sequence[str] = (),
    mask_volumes: bool = True,
    refresh: bool = False,
    said: Said | None = None,
    warn: Callable[[str], None] = silent,
) -> str:
    """Makes TARGET of the image that BUNDLE was unpacked from (or of BASE) and one layer of what has changed in it
    since; its digest. Where nothing has, that is the image itself.

    What is at or below one of MASKS, and by MASK_VOLUMES one of the image's volumes, is left out. REFRESH notes the
    bundle as unpacked from TARGET. COMPRESS is `gzip`, `zstd`, `none` or `auto`: as the uppermost layer is.
    """
    from pyrunc.image.repack import repack_as_caller

    options = {
        "base": base, "platform": platform, "store": store, "compress": compress, "masks": list(masks),
        "mask_volumes": mask_volumes, "refresh": refresh, "said": said, "access": access,
    }  # fmt: skip
    return repack_as_caller(bundle, target, options, warn)


# -- changing images without unpacking them ---------------------------------------------------------------------------


def init(folder: str) -> None:
    """An empty layout; one that is there stays as it is."""
    from pyrunc.image.store import make

    make(folder)


def new(image: str, *, platform: str = "", store: str = "", access: Access | None = None) -> Descriptor:
    """Makes IMAGE, of no layers."""
    from pyrunc.image.draft import new_draft

    return new_draft(platform).save(image, store=store, access=access)


def import_(
    source: str,
    image: str,
    *,
    platform: str = "",
    store: str = "",
    access: Access | None = None,
    compress: str = "auto",
    said: Said | None = None,
    warn: Callable[[str], None] = silent,
) -> Descriptor:
    """Makes IMAGE of one layer: the root file system SOURCE, a folder or a tar archive (`-` is standard input)."""
    from contextlib import closing

    from pyrunc.image.draft import new_draft
    from pyrunc.image.insert import add_root

    with closing(new_draft(platform)) as draft:
        add_root(draft, source, compress=compress, warn=warn)
        note(draft, said, "pyrunc image import", layer=True)
        return draft.save(image, store=store, access=access)


def insert(
    image: str,
    source: str,
    destination: str,
    *,
    target: str = "",
    opaque: bool = False,
    platform: str = "",
    store: str = "",
    access: Access | None = None,
    compress: str = "auto",
    said: Said | None = None,
    warn: Callable[[str], None] = silent,
) -> Descriptor:
    """Puts the file or folder SOURCE of this machine into IMAGE, as a new layer. An OPAQUE folder hides all that was in
    its place. The new image goes to TARGET, or takes the place of the old one."""
    from contextlib import closing

    from pyrunc.image.draft import open_draft
    from pyrunc.image.insert import insert as put
    from pyrunc.image.transport import need_one_registry

    need_one_registry(access, image, target)
    with closing(open_draft(image, platform, store=store, access=access)) as draft:
        put(draft, source, destination, opaque=opaque, compress=compress, warn=warn)
        note(draft, said, "pyrunc image insert", layer=True)
        return draft.save(target or image, store=store, access=access)


def white_out(
    image: str,
    path: str,
    *,
    target: str = "",
    platform: str = "",
    store: str = "",
    access: Access | None = None,
    compress: str = "auto",
    said: Said | None = None,
) -> Descriptor:
    """Removes PATH from IMAGE, by a new layer (`pyrunc image insert --whiteout`)."""
    from contextlib import closing

    from pyrunc.image.draft import open_draft
    from pyrunc.image.insert import remove as hide
    from pyrunc.image.transport import need_one_registry

    need_one_registry(access, image, target)
    with closing(open_draft(image, platform, store=store, access=access)) as draft:
        hide(draft, path, compress=compress)
        note(draft, said, "pyrunc image insert", layer=True)
        return draft.save(target or image, store=store, access=access)


def config(
    image: str,
    changes: Mapping[str, Sequence[str]],
    *,
    clear: Sequence[str] = (),
    target: str = "",
    platform: str = "",
    store: str = "",
    access: Access | None = None,
    said: Said | None = None,
) -> Descriptor:
    """Changes the configuration of IMAGE: CHANGES has values by the names of the command's flags (`{"config.env":
    ["A=1"]}`), what CLEAR names is emptied first. The new image goes to TARGET, or takes the place of the old one."""
    from contextlib import closing

    from pyrunc.image import edit
    from pyrunc.image.draft import open_draft
    from pyrunc.image.transport import need_one_registry

    need_one_registry(access, image, target)
    with closing(open_draft(image, platform, store=store, access=access)) as draft:
        edit.clear(draft, clear)
        for name, values in changes.items():
            edit.change(draft, name, values)
        if draft.changed:
            created = draft.config.get("created")
            note(draft, said, "pyrunc image config", layer=False)
            if "created" in changes:
                draft.config["created"] = created
        return draft.save(target or image, store=store, access=access)


def note(draft: Draft, said: Said | None, created_by: str, layer: bool) -> None:
    """Adds a step to the history."""
    said = said or Said()
    if said.kept:
        draft.add_history(
            said.created_by or created_by,
            author=said.author,
            comment=said.comment,
            created=said.created,
            layer=layer,
        )
