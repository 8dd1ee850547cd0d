"""`pyrunc delete`: takes away what a container that has ended leaves behind."""

from __future__ import annotations

from pyrunc.cli.options import SWITCH, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "delete",
    "delete all that a container holds",
    "<container-id>",
    minimum=1,
    maximum=1,
    flags=(("force, f", SWITCH, "end the container by SIGKILL if it has not ended; no container is no error"),),
)


def run(context: Context, given: Given) -> int:
    from pyrunc import manage

    for warning in manage.delete(context.root, given.arguments[0], force=given.switch("force")):
        context.log.warning(warning)
    return 0
