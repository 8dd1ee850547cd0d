"""`pyrunc image import`: an image of a root file system."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.repack import COMPRESS, HISTORY, history, warn
from pyrunc.cli.images.shared import PLACES, PLATFORM, STORE
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
    flags=(COMPRESS, PLATFORM, STORE, *HISTORY),
    details=PLACES
    + """
The archive is a tar file, plain or compressed by gzip or zstd; - is standard input. It becomes the one layer of the
image as it is, after all of it has been checked. `pyrunc image config` says what is to run in it.
""",
)


def run(context: Context, given: Given) -> int:
    from contextlib import closing

    from pyrunc.image.draft import new_draft
    from pyrunc.image.insert import add_root

    source, target = given.arguments
    with closing(new_draft(given.text("platform"))) as draft:
        add_root(draft, source, compress=given.text("compress", "auto"), warn=warn)
        history(given).add(draft, "pyrunc image import", layer=True)
        show(f"{draft.save(target, store=given.text('store')).digest}\n")
    return 0
