"""`pyrunc image history`: how an image came about."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import ACCESS, JSON, PLACES, PLATFORM, STORE, access, as_json, printable, size, table
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image history",
    "show how an image came about",
    "<image>",
    minimum=1,
    maximum=1,
    flags=(JSON, PLATFORM, STORE, *ACCESS),
    details=PLACES,
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    steps = images.history(
        given.arguments[0], platform=given.text("platform"), store=given.text("store"), access=access(given)
    )
    if given.switch("json"):
        show(as_json(steps))
        return 0
    rows = [("CREATED", "SIZE", "LAYER", "CREATED BY", "COMMENT")]
    for step in steps:
        layer = step.get("layer")
        told = (step.get("created", ""), size(layer["size"]) if layer else "-", layer["digest"][:19] if layer else "-")
        rows.append((*told, step.get("created_by", ""), step.get("comment", "")))
    show(table([tuple(printable(cell) for cell in row) for row in rows]))
    return 0
