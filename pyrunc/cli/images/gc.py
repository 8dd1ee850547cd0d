"""`pyrunc image gc`: what no name of the store leads to is removed."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import JSON, STORE, as_json, size
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image gc",
    "remove what no name of the store leads to, and layers that nothing uses",
    maximum=0,
    flags=(STORE, JSON),
    details="""
Layers of "pyrunc image unpack --layers" stay while an image of the store has them, or a bundle that is there. Waits for
whoever is adding an image or unpacking one, because nothing of that one has a name yet.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    count, freed = images.collect(store=given.text("store"))
    show(as_json({"files": count, "bytes": freed}) if given.switch("json") else f"{count} files, {size(freed)}\n")
    return 0
