"""`pyrunc image insert`: files into an image."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.repack import COMPRESS, HISTORY, said
from pyrunc.cli.images.shared import ACCESS, PLACES, PLATFORM, STORE, access, warn
from pyrunc.cli.options import SWITCH, TEXT, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image insert",
    "put files into an image, or white them out",
    "<image> <source> <destination> | --whiteout <image> <path>",
    minimum=2,
    maximum=3,
    flags=(
        ("tag", TEXT, "where the new image goes (default: it takes the place of the old one)"),
        ("opaque", SWITCH, "the folder hides all that was in its place"),
        ("whiteout", SWITCH, "remove the path"),
        COMPRESS,
        PLATFORM,
        STORE,
        *ACCESS,
        *HISTORY,
    ),
    details=PLACES
    + """
The source is a file or a folder of this machine, with its owners (those of a user who is not root become root). It is
one new layer; folders above the destination that the image does not have are made when it is unpacked.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images
    from pyrunc.cli.options import UsageError

    image, *paths = given.arguments
    if len(paths) != (1 if given.switch("whiteout") else 2):
        wanted = "an image and a path" if given.switch("whiteout") else "an image, a source and a destination"
        raise UsageError(f'pyrunc: "image insert" requires {wanted}', "Incorrect Usage.")
    target, platform, store = given.text("tag"), given.text("platform"), given.text("store")
    if given.switch("whiteout"):
        descriptor = images.white_out(
            image, paths[0], target=target, platform=platform, store=store, access=access(given),
            compress=given.text("compress", "auto"), said=said(given),
        )  # fmt: skip
    else:
        descriptor = images.insert(
            image, *paths, target=target, opaque=given.switch("opaque"), platform=platform, store=store,
            access=access(given), compress=given.text("compress", "auto"), said=said(given), warn=warn,
        )  # fmt: skip
    show(f"{descriptor.digest}\n")
    return 0
