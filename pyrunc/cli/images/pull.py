"""`pyrunc image pull`: an image into the store."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.progress import progress
from pyrunc.cli.images.shared import ACCESS, ALL, OUTCOME, PLACES, PLATFORM, QUIET, STORE, access, outcome
from pyrunc.cli.options import TEXT, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image pull",
    "fetch an image into the store",
    "<source>",
    minimum=1,
    maximum=1,
    flags=(
        ("name", TEXT, "what the store calls it (default: as the source does)"),
        PLATFORM,
        ALL,
        STORE,
        OUTCOME,
        QUIET,
        *ACCESS,
    ),
    details=PLACES + """
A NAME alone is one in a registry here; one that does not say which registry is looked up in the short names of
registries.conf, and the store calls it by its full name. What is in the store already is not fetched again.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    with progress(given) as report:
        name, descriptor = images.pull(
            given.arguments[0],
            name=given.text("name"),
            platform=given.text("platform"),
            all=given.switch("all"),
            store=given.text("store"),
            access=access(given),
            report=report,
        )
    show(outcome(given, name, descriptor))
    return 0
