"""`pyrunc image tag`: another name for an image of the store."""

from __future__ import annotations

from pyrunc.cli.images.shared import STORE
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image tag", "give an image of the store another name", "<name> <new-name>", minimum=2, maximum=2, flags=(STORE,)
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    images.tag(*given.arguments, store=given.text("store"))
    return 0
