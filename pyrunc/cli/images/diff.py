"""`pyrunc image diff`: what is different between two images, or in a bundle."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import ACCESS, JSON, PLACES, PLATFORM, STORE, access, as_json, warn
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image diff",
    "show which files are different in a bundle or another image",
    "<bundle> | <image> <image or bundle>",
    minimum=1,
    maximum=2,
    flags=(JSON, PLATFORM, STORE, *ACCESS),
    details=PLACES
    + """
A bundle alone is compared with the image that it was unpacked from. A is a file that has been added, M one of which
contents or anything else is other, D one that has gone, with all below it.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    *before, after = given.arguments
    rows = images.diff(
        after,
        before[0] if before else "",
        platform=given.text("platform"),
        store=given.text("store"),
        access=access(given),
        warn=warn,
    )
    if given.switch("json"):
        show(as_json([{"kind": kind, "path": path} for kind, path in rows]))
    else:
        show("".join(f"{kind} {path if path.isprintable() else repr(path)}\n" for kind, path in rows))
    return 0
