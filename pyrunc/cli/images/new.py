"""`pyrunc image new`: an image of no layers."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import ACCESS, NEW_PLATFORM, PLACES, STORE, access
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
    flags=(NEW_PLATFORM, STORE, *ACCESS),
    details=PLACES,
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    descriptor = images.new(
        given.arguments[0], platform=given.text("platform"), store=given.text("store"), access=access(given)
    )
    show(f"{descriptor.digest}\n")
    return 0
