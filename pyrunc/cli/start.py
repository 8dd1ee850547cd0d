"""`pyrunc start`: lets the program of a created container run."""

from __future__ import annotations

from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "start",
    "run the program of a created container",
    "<container-id>",
    minimum=1,
    maximum=1,
)


def run(context: Context, given: Given) -> int:
    from pyrunc import lifecycle

    lifecycle.start(context.root, given.arguments[0])
    return 0


def report(context: Context, fail: list[str]) -> int:
    """Says why a start failed that the front in C has tried: it passes on the id and the fields of init's FAIL."""
    from pyrunc.starting import failed_start

    id, index, number, detail, text = fail
    raise failed_start(context.root, id, int(index), int(number), int(detail), text)
