"""`pyrunc image rm`: names leave the store."""

from __future__ import annotations

from pyrunc.cli.images.shared import STORE
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image rm",
    "remove names from the store",
    "<name> ...",
    minimum=1,
    flags=(STORE,),
    details='\nThe bytes stay until "pyrunc image gc".\n',
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    for name in given.arguments:
        images.remove(name, store=given.text("store"))
    return 0
