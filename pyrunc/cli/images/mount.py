"""`pyrunc image mount`: show the layers of a bundle without a container."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image mount",
    "show the root file system of a stacked bundle, read-only",
    "<bundle> [<folder>]",
    minimum=1,
    maximum=2,
    details="""
For bundles of "pyrunc image unpack --layers", to look at files and to copy some, also while the container runs; on the
bundle's rootfs when no folder is named. Containers do not need it.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    images.mount(*given.arguments)
    return 0
