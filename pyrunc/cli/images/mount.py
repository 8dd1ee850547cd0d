"""`pyrunc image mount`: mount the layers of a bundle again."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image mount",
    "mount the layers of a bundle again",
    "<bundle>",
    minimum=1,
    maximum=1,
    details="""
For bundles of "pyrunc image unpack --layers" after the machine has been off, or after "pyrunc image umount".
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    images.mount(given.arguments[0])
    return 0
