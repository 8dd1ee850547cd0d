"""An image changed from Python: files are put into it, its bundle is made, changed and packed again.

    examples/images.py docker://docker.io/library/debian:12

Everything is kept in a store of its own, in the folder .images. Needs what `pyrunc image` needs.
"""

from __future__ import annotations

import sys

from pyrunc import PyruncError, images

STORE = ".images/store"


def main(source: str) -> None:
    images.copy(source, "base", store=STORE)
    images.insert("base", "examples", "/srv/examples", target="changed", store=STORE)
    images.config("changed", {"config.env": ["GREETING=hello"], "config.cmd": ["ls", "/srv/examples"]}, store=STORE)
    images.unpack("changed", ".images/bundle", store=STORE)
    with open(".images/bundle/rootfs/srv/note", "w", encoding="utf-8") as file:
        file.write("written on the host\n")
    for kind, path in images.diff(".images/bundle", store=STORE):
        print(kind, path)
    print(images.repack(".images/bundle", "oci-archive:.images/changed.tar:changed", store=STORE))
    for step in images.history("oci-archive:.images/changed.tar"):
        print(step.get("created_by"), step.get("layer", {}).get("size", 0), "bytes")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except PyruncError as error:
        sys.exit(str(error))
