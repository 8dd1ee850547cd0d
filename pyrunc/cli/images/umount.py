"""`pyrunc image umount`: unmount the layers of a bundle."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image umount",
    "unmount the layers of a bundle",
    "<bundle>",
    minimum=1,
    maximum=1,
    details="""
What the container has changed stays in the bundle. Afterwards it can be removed like any folder.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    images.umount(given.arguments[0])
    return 0
