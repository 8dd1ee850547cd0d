"""`pyrunc image rm`: names leave the store, images leave a registry."""

from __future__ import annotations

from pyrunc.cli.images.shared import ACCESS, STORE, access
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image rm",
    "remove names from the store, or images from a registry",
    "<name> | docker://<name>[:<tag>|@<digest>] ...",
    minimum=1,
    flags=(STORE, *ACCESS),
    details="""
What a name in the store meant stays until "pyrunc image gc". In a registry a digest is deleted with all tags that it
has; a tag alone is deleted by registries that can do so.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    for name in given.arguments:
        images.remove(name, store=given.text("store"), access=access(given))
    return 0
