"""`pyrunc image ls`: what is in the store, or the tags of a repository."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import ACCESS, JSON, QUIET, STORE, access, as_json, printable, size, table
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image ls",
    "list the images of the store, or the tags of docker://[HOST[:PORT]/]NAME",
    "[repository]",
    maximum=1,
    flags=(STORE, JSON, ("quiet, q", QUIET[1], "names only"), *ACCESS),
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    if given.arguments:
        tags = images.tags(given.arguments[0], access=access(given))
        show(as_json(tags) if given.switch("json") else "".join(f"{printable(tag)}\n" for tag in tags))
        return 0
    found = images.listing(store=given.text("store"))
    if given.switch("json"):
        show(as_json(found))
    elif given.switch("quiet"):
        show("".join(f"{one['name'] or one['digest']}\n" for one in found))
    else:
        rows = [("NAME", "DIGEST", "SIZE", "PLATFORMS")]
        rows += [(one["name"], one["digest"][:19], size(one["size"]), ", ".join(one["platforms"])) for one in found]
        show(table(rows))
    for one in found:
        if "error" in one:
            context.log.warning(f"{one['name'] or one['digest']}: {one['error']}")
    return 0
