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
    flags=(
        ("force, f", SWITCH, "end the container by SIGKILL if it has not ended; no container is no error"),
        ("regex, r", SWITCH, "<container-id> is a regular expression: every container whose id it is found in"),
    ),
)


def run(context: Context, given: Given) -> int:
    from pyrunc import manage

    def delete(id: str) -> None:
        for warning in manage.delete(context.root, id, force=given.switch("force")):
            context.log.warning(warning)

    if given.switch("regex"):
        from pyrunc.cli.each import each

        each(context.root, given.arguments[0], delete)
    else:
        delete(given.arguments[0])
    return 0
