"""`pyrunc image import`: an image of a root file system."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.repack import COMPRESS, HISTORY, said
from pyrunc.cli.images.shared import ACCESS, NEW_PLATFORM, PLACES, STORE, access, warn
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image import",
    "make an image of a root file system",
    "<archive or folder> <image>",
    minimum=2,
    maximum=2,
    flags=(COMPRESS, NEW_PLATFORM, STORE, *ACCESS, *HISTORY),
    details=PLACES
    + """
The archive is a tar file, plain or compressed by gzip or zstd; - is standard input. It becomes the one layer of the
image as it is, after all of it has been checked. `pyrunc image config` says what is to run in it.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    descriptor = images.import_(
        *given.arguments,
        platform=given.text("platform"),
        store=given.text("store"),
        access=access(given),
        compress=given.text("compress", "auto"),
        said=said(given),
        warn=warn,
    )
    show(f"{descriptor.digest}\n")
    return 0
