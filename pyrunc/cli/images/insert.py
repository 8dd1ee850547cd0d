"""`pyrunc image insert`: files into an image."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.repack import COMPRESS, HISTORY, history, warn
from pyrunc.cli.images.shared import PLACES, PLATFORM, STORE
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
        *HISTORY,
    ),
    details=PLACES
    + """
The source is a file or a folder of this machine, with its owners (those of a user who is not root become root). It is
one new layer; folders above the destination that the image does not have are made when it is unpacked.
""",
)


def run(context: Context, given: Given) -> int:
    from contextlib import closing

    from pyrunc.cli.options import UsageError
    from pyrunc.image import insert
    from pyrunc.image.draft import open_draft

    image, *paths = given.arguments
    if len(paths) != (1 if given.switch("whiteout") else 2):
        wanted = "an image and a path" if given.switch("whiteout") else "an image, a source and a destination"
        raise UsageError(f'pyrunc: "image insert" requires {wanted}', "Incorrect Usage.")
    compress = given.text("compress", "auto")
    with closing(open_draft(image, given.text("platform"), store=given.text("store"))) as draft:
        if given.switch("whiteout"):
            insert.remove(draft, paths[0], compress=compress)
        else:
            insert.insert(draft, *paths, opaque=given.switch("opaque"), compress=compress, warn=warn)
        history(given).add(draft, "pyrunc image insert", layer=True)
        descriptor = draft.save(given.text("tag") or image, store=given.text("store"))
    show(f"{descriptor.digest}\n")
    return 0
