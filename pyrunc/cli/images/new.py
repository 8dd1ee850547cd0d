"""`pyrunc image new`: an image of no layers."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import PLACES, PLATFORM, STORE
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image new",
    "make an image of no layers",
    "<image>",
    minimum=1,
    maximum=1,
    flags=(PLATFORM, STORE),
    details=PLACES,
)


def run(context: Context, given: Given) -> int:
    from pyrunc.image.draft import new_draft

    draft = new_draft(given.text("platform"))
    show(f"{draft.save(given.arguments[0], store=given.text('store')).digest}\n")
    return 0
