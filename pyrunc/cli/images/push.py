"""`pyrunc image push`: an image of the store to a registry, or to any other place."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.progress import progress
from pyrunc.cli.images.shared import ACCESS, ALL, OUTCOME, PLACES, PLATFORM, QUIET, STORE, access, outcome
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image push",
    "send an image of the store to a registry",
    "<name> [target]",
    minimum=1,
    maximum=2,
    flags=(PLATFORM, ALL, STORE, OUTCOME, QUIET, *ACCESS),
    details=PLACES + "\nWithout a target the image goes to the registry that its name says.\n",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    name, *rest = given.arguments
    with progress(given) as report:
        descriptor = images.push(
            name,
            rest[0] if rest else "",
            platform=given.text("platform"),
            all=given.switch("all"),
            store=given.text("store"),
            access=access(given),
            report=report,
        )
    show(outcome(given, rest[0] if rest else name, descriptor))
    return 0
