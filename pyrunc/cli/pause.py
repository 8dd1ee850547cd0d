"""`pyrunc pause`."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command("pause", "suspend all processes of a container", "<container-id>", minimum=1, maximum=1)


def run(context: Context, given: Given) -> int:
    from pyrunc import manage

    manage.pause(context.root, given.arguments[0])
    return 0
