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
    from pyrunc.image.access import Access

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


def sides(given: Given) -> tuple[Access, Access]:
    """How the source and the target are entered; what is not said of one alone is said of both."""
    from pyrunc.image.transport import need_one_registry

    if not given.has("src-creds") and not given.has("dest-creds"):
        need_one_registry(access(given), *given.arguments)
    return access(given, "src-"), access(given, "dest-")


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    source, target = given.arguments
    source_access, target_access = sides(given)
    with progress(given) as report:
        descriptor = images.copy(
            source,
            target,
            platform=given.text("platform"),
            all=given.switch("all"),
            store=given.text("store"),
            access=source_access,
            target_access=target_access,
            referrers=given.switch("referrers"),
            report=report,
        )
    show(outcome(given, target, descriptor))
    return 0
