"""`pyrunc image inspect`: what an image is, wherever it is."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.images.shared import ACCESS, JSON, PLACES, PLATFORM, STORE, access, as_json, printable, size
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image inspect",
    "show what an image is",
    "<image>",
    minimum=1,
    maximum=1,
    flags=(PLATFORM, STORE, JSON, *ACCESS),
    details=PLACES + "\nDigests are verified. Signatures are not: who made an image is not known from here.\n",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    found = images.inspect(
        given.arguments[0], platform=given.text("platform"), store=given.text("store"), access=access(given)
    )
    if given.switch("json"):
        show(as_json(found))
        return 0
    config = found.get("config", {})
    lines = [("digest", found["digest"]), ("manifest", found["manifest"]), ("type", found["mediaType"])]
    lines += [("platforms", ", ".join(found["platforms"]))] if "platforms" in found else []
    lines += [(key, str(config[key])) for key in ("os", "architecture", "variant", "created") if config.get(key)]
    lines += [(key, str(value)) for key, value in (config.get("config") or {}).items() if value]
    lines += [("artifact", found["artifactType"])] if "artifactType" in found else []
    lines += [("layer", f"{layer['digest']}  {size(layer['size'])}") for layer in found["layers"]]
    lines += [("verified", found["verified"])]
    show("".join(f"{name + ':':14} {printable(text)}\n" for name, text in lines))
    return 0
