"""`pyrunc image umount`: take away what `mount` shows."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image umount",
    "take away what \"image mount\" shows",
    "<bundle> [<folder>]",
    minimum=1,
    maximum=2,
    details="""
From the folder, or from the bundle's rootfs when none is named.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    images.umount(*given.arguments)
    return 0
