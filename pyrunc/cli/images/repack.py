"""`pyrunc image repack`: a bundle back into an image."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import ACCESS, PLACES, PLATFORM, STORE, access, warn
from pyrunc.cli.options import LIST, SWITCH, TEXT, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Flag, Given
    from pyrunc.image.making import Said

COMPRESS: Flag = ("compress", TEXT, "gzip, zstd, none or auto: as the uppermost layer is, else gzip (default: auto)")
HISTORY: tuple[Flag, ...] = (
    ("no-history", SWITCH, "the history says nothing of it"),
    ("history.author", TEXT, "who has done it"),
    ("history.comment", TEXT, "what for"),
    ("history.created", TEXT, "when (RFC 3339)"),
    ("history.created_by", TEXT, "by which command"),
)

COMMAND = Command(
    "image repack",
    "make an image of a bundle: its own, and a layer of what has changed",
    "<bundle> <image>",
    minimum=2,
    maximum=2,
    flags=(
        ("base", TEXT, "image that the bundle was unpacked from (default: what unpack noted)"),
        ("mask-path", LIST, "leave out what is at or below this path"),
        ("no-mask-volumes", SWITCH, "do not leave out the volumes of the image"),
        ("refresh-bundle", SWITCH, "the next repack starts from the new image"),
        COMPRESS,
        PLATFORM,
        STORE,
        *ACCESS,
        *HISTORY,
    ),
    details=PLACES
    + """
Where nothing has changed the image is the one that the bundle was unpacked from. With SOURCE_DATE_EPOCH in the
environment the same change makes the same image.
""",
)


def said(given: Given) -> Said:
    """What the flags say about the history."""
    from pyrunc.image.making import Said

    texts = {name: given.text(f"history.{name}") for name in ("author", "comment", "created", "created_by")}
    return Said(**texts, kept=not given.switch("no-history"))


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    digest = images.repack(
        *given.arguments,
        base=given.text("base"),
        platform=given.text("platform"),
        store=given.text("store"),
        access=access(given),
        compress=given.text("compress", "auto"),
        masks=given.list("mask-path"),
        mask_volumes=not given.switch("no-mask-volumes"),
        refresh=given.switch("refresh-bundle"),
        said=said(given),
        warn=warn,
    )
    show(f"{digest}\n")
    return 0
