"""`pyrunc resume`."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command("resume", "let the processes of a paused container go on", "<container-id>", minimum=1, maximum=1)


def run(context: Context, given: Given) -> int:
    from pyrunc import manage

    manage.resume(context.root, given.arguments[0])
    return 0
