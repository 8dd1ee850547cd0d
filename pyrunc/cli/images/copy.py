"""`pyrunc image copy`: an image from any place to any other."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.progress import progress
from pyrunc.cli.images.shared import ACCESS, ALL, OUTCOME, PLACES, PLATFORM, QUIET, STORE, access, outcome
from pyrunc.cli.options import SWITCH, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

REFERRERS = ("referrers", SWITCH, "also what refers to the image, such as signatures; they are not checked")
SIDES = tuple(
    (f"{side}-{name}", kind, f"--{name} of the {role} alone")
    for side, role in (("src", "source"), ("dest", "target"))
    for name, kind, _ in ACCESS
)

COMMAND = Command(
    "image copy",
    "copy an image from any place to any other",
    "<source> <target>",
    minimum=2,
    maximum=2,
    flags=(PLATFORM, ALL, REFERRERS, STORE, OUTCOME, QUIET, *ACCESS, *SIDES),
    details=PLACES + "\nManifests and configurations are copied byte for byte, and keep their digests.\n",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    source, target = given.arguments
    for side in ("src", "dest"):
        for name, _, _ in ACCESS:
            if given.has(name):
                given.values.setdefault(f"{side}-{name}", given.values[name])
    with progress(given) as report:
        descriptor = images.copy(
            source,
            target,
            platform=given.text("platform"),
            all=given.switch("all"),
            store=given.text("store"),
            access=access(given, "src-"),
            target_access=access(given, "dest-"),
            referrers=given.switch("referrers"),
            report=report,
        )
    show(outcome(given, target, descriptor))
    return 0
