"""`pyrunc image config`: the configuration of an image, changed."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.repack import HISTORY, history
from pyrunc.cli.images.shared import PLACES, PLATFORM, STORE
from pyrunc.cli.options import LIST, TEXT, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

# By the name that the change has; the others are what umoci calls the same.
CHANGES = {
    "config.user": "who runs it",
    "config.exposedports": "a port, such as 80/tcp; added",
    "config.env": "KEY=VALUE; added",
    "config.entrypoint": "one word of the entrypoint; all of them together replace it",
    "config.cmd": "one word of the command; all of them together replace it",
    "config.volume": "a path; added",
    "config.label": "KEY=VALUE; added",
    "config.workingdir": "where it runs",
    "config.stopsignal": "the signal that ends it",
    "created": "when the image was made (RFC 3339)",
    "author": "who made it",
    "os, platform.os": "for which system it is",
    "architecture, platform.arch": "for which processor it is",
    "variant, platform.variant": "for which kind of it",
    "manifest.annotation": "KEY=VALUE; added",
}

COMMAND = Command(
    "image config",
    "change the configuration of an image",
    "<image>",
    minimum=1,
    maximum=1,
    flags=(
        ("tag", TEXT, "where the new image goes (default: it takes the place of the old one)"),
        *((name, LIST, sentence) for name, sentence in CHANGES.items()),
        ("clear", LIST, "empty config.labels, .exposedports, .env, .volume, .cmd or .entrypoint, manifest.annotation"),
        PLATFORM,
        STORE,
        *HISTORY,
    ),
    details=PLACES + "\nWhat is to be cleared is cleared first.\n",
)


def run(context: Context, given: Given) -> int:
    from contextlib import closing

    from pyrunc.image import edit
    from pyrunc.image.draft import open_draft

    (image,) = given.arguments
    with closing(open_draft(image, given.text("platform"), store=given.text("store"))) as draft:
        edit.clear(draft, given.list("clear"))
        for names in CHANGES:
            name = names.partition(",")[0]
            if given.has(name):
                edit.change(draft, name, given.list(name))
        if draft.changed:
            created = draft.config.get("created")
            history(given).add(draft, "pyrunc image config", layer=False)
            if given.has("created"):
                draft.config["created"] = created
        descriptor = draft.save(given.text("tag") or image, store=given.text("store"))
    show(f"{descriptor.digest}\n")
    return 0
