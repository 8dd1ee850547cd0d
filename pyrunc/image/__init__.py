"""Images: from OCI layouts and archives to bundles.

    unpack("oci:layout:name", "box")      makes box/rootfs and box/config.json

Importing this loads nothing else; the work is done by `bundle`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def unpack(
    source: str,
    bundle: str,
    *,
    platform: str | None = None,
    rootless: bool | None = None,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Makes the folder BUNDLE from the image SOURCE; on any error nothing is left.

    SOURCE is `oci:DIR[:REF]`, `oci-archive:FILE[:REF]` or `docker-archive:FILE[:REF]`. `platform` is
    `OS/ARCH[/VARIANT]`, by default this machine's. `rootless` notes owners in an attribute and makes empty files
    of devices where the real ones cannot be made; by default it is true for who is not root, who then gets real owners
    by way of the ids in /etc/subuid, if there are any. `warn` is told, once each, what else was passed over.
    """
    from pyrunc.image.bundle import unpack as make_bundle

    make_bundle(source, bundle, platform, rootless, warn or (lambda message: None))
