"""`pyrunc image config`: the configuration of an image, changed."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.repack import HISTORY, said
from pyrunc.cli.images.shared import ACCESS, PLACES, PLATFORM, STORE, access
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
        *ACCESS,
        *HISTORY,
    ),
    details=PLACES + "\nWhat is to be cleared is cleared first.\n",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    changes = {name.partition(",")[0]: given.list(name.partition(",")[0]) for name in CHANGES}
    descriptor = images.config(
        given.arguments[0],
        {name: values for name, values in changes.items() if values},
        clear=given.list("clear"),
        target=given.text("tag"),
        platform=given.text("platform"),
        store=given.text("store"),
        access=access(given),
        said=said(given),
    )
    show(f"{descriptor.digest}\n")
    return 0
