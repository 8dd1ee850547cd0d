"""`pyrunc image init`: an empty layout."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image init",
    "make an empty image layout",
    "<folder>",
    minimum=1,
    maximum=1,
    details="""
The commands that write images make the layout that they need, so this is for other tools.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    images.init(given.arguments[0])
    return 0
