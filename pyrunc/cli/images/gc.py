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
whoever is adding, reading or unpacking an image: what has no name yet, or has lost it meanwhile, is not taken from him.
Also goes what was kept of blobs that a pull did not get to the end of.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    count, freed = images.collect(store=given.text("store"))
    show(as_json({"files": count, "bytes": freed}) if given.switch("json") else f"{count} files, {size(freed)}\n")
    return 0
