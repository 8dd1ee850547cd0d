"""`pyrunc image referrers`: what refers to an image: signatures, lists of what is in it, ..."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import ACCESS, JSON, PLACES, STORE, access, as_json, printable, size, table
from pyrunc.cli.options import TEXT, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image referrers",
    "list what refers to an image: signatures, lists of its contents, ...",
    "<image>",
    minimum=1,
    maximum=1,
    flags=(
        ("artifact-type", TEXT, "only what is of this type"),
        ("platform", TEXT, "OS/ARCH[/VARIANT] of the image in an index (default: the index itself is meant)"),
        JSON,
        STORE,
        *ACCESS,
    ),
    details=PLACES + "\nWhat they say of the image is not checked.\n",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    found = images.referrers(
        given.arguments[0],
        given.text("artifact-type"),
        platform=given.text("platform"),
        store=given.text("store"),
        access=access(given),
    )
    if given.switch("json"):
        show(as_json(found))
    else:
        rows = [("DIGEST", "SIZE", "TYPE")]
        rows += [(one["digest"], size(one["size"]), printable(one["artifactType"])) for one in found]
        show(table(rows))
    return 0
