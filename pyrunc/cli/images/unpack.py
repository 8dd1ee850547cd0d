"""`pyrunc image unpack`: a bundle out of an image."""

from __future__ import annotations

from pyrunc.cli.images.shared import ACCESS, PLATFORM, STORE, access, warn
from pyrunc.cli.options import SWITCH, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "image unpack",
    "make a bundle from an OCI image",
    "<source> <bundle>",
    minimum=2,
    maximum=2,
    flags=(
        PLATFORM,
        ("layers", SWITCH, "keep each layer once, in the store; the container's root file system is a stack of them"),
        ("erofs", SWITCH, "the same with layers as EROFS images (root, mkfs.erofs, Linux 6.12)"),
        STORE,
        ("rootless", SWITCH, "make do with the own id: owners are noted, devices become empty files"),
        *ACCESS,
    ),
    details="""
The source is one of
    oci:DIR[:REF]              a folder in the OCI image layout
    oci-archive:FILE[:REF]     such a folder as a tar archive
    docker-archive:FILE[:REF]  what "docker save" writes
    dir:DIR                    a folder of "skopeo copy"
    docker://NAME              in a registry; nothing of it is kept
    NAME                       in the store
REF is the name of an image in it, or @N for the Nth; it can be left out where there is only one.

The bundle is a folder that gets "rootfs" and "config.json". When anything is wrong with the image nothing is left.

Who is not root but has ids in /etc/subuid and /etc/subgid gets files of these ids, and a config.json that maps them;
"unshare --map-auto --map-root-user rm -r BUNDLE" removes them. Without such ids, and with --rootless, all files are the
caller's own, and owners are noted in their attribute user.rootlesscontainers.

With --layers they are shared by all images that have them. The bundle says which ones to stack, and its container does
(overlayfs; users need Linux 5.11): what it changes is in the folder "upper", so no two containers may run in one such
bundle at a time. "pyrunc image mount" shows it without a container. With --erofs layers that are not in the store yet
become one file each. "pyrunc image gc" removes layers that are in no image of the store and in no bundle.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import images

    images.unpack(
        *given.arguments,
        platform=given.text("platform"),
        rootless=given.switch("rootless") if given.has("rootless") else None,
        layers=given.switch("layers"),
        erofs=given.switch("erofs"),
        store=given.text("store"),
        access=access(given),
        warn=warn,
    )
    return 0
