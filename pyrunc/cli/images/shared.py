"""What the commands of images have in common: flags, progress, sizes. Not a command."""

from __future__ import annotations

from pyrunc.cli.log import STDERR, write
from pyrunc.cli.options import SWITCH, TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from pyrunc.cli.options import Flag, Given
    from pyrunc.image.access import Access
    from pyrunc.specs.image import Descriptor

STORE: Flag = ("store", TEXT, "folder that keeps images (default: /var/lib/pyrunc/images, or one of the user's own)")
JSON: Flag = ("json", SWITCH, "print JSON")
OUTCOME: Flag = ("json", SWITCH, "print one JSON document at the end: name, digest and mediaType; no progress")
QUIET: Flag = ("quiet, q", SWITCH, "no progress")
PLATFORM: Flag = ("platform", TEXT, "OS/ARCH[/VARIANT] of the image to take (default: this machine's)")
NEW_PLATFORM: Flag = ("platform", TEXT, "OS/ARCH[/VARIANT] of the new image (default: this machine's)")
ALL: Flag = ("all, a", SWITCH, "all platforms")
ACCESS: tuple[Flag, ...] = (
    ("authfile", TEXT, "file with the passwords of registries (default: those of podman, skopeo and Docker)"),
    ("creds", TEXT, "USER:PASSWORD for the registry"),
    ("cert-dir", TEXT, "folder with *.crt (authorities), *.cert and *.key (our own) for the registry"),
    ("tls-verify", SWITCH, "=false: certificates are not checked, and plain HTTP will do"),
)
STOPPING = (1, 2, 15)  # SIGHUP, SIGINT, SIGTERM
UNITS = ("B", "kB", "MB", "GB", "TB")

PLACES = """
An image is named in one of these ways:
    docker://[HOST[:PORT]/]NAME[:TAG][@DIGEST]  in a registry
    oci:DIR[:REF]                               a folder in the OCI image layout
    oci-archive:FILE[:REF]                      such a folder as a tar archive
    docker-archive:FILE[:REF]                   what "docker save" writes
    dir:DIR                                     a folder of "skopeo copy"
    NAME                                        in the store
REF is the name of an image in it, or @N for the Nth; it can be left out where there is only one.
"""


def stop_tidily() -> None:
    """From now on a signal that asks us to end is an exception on its way out of whatever is being made, which then is
    removed. Once: a second one does not interrupt the removing."""
    import signal

    numbers = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]  # as nohup(1) has it

    def stop(number: int, frame: object) -> NoReturn:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    for number in numbers:
        signal.signal(number, stop)


def access(given: Given, prefix: str = "") -> Access:
    """What the flags say about registries: those with PREFIX, and where there are none those without."""
    from pyrunc.image.access import Access

    authfile, creds, certificates, verify = (
        f"{prefix}{name}" if given.has(f"{prefix}{name}") else name
        for name in ("authfile", "creds", "cert-dir", "tls-verify")
    )
    verified = given.switch(verify) if given.has(verify) else None
    return Access(given.text(authfile), given.text(creds), verified, given.text(certificates), warn)


def warn(message: str) -> None:
    write(STDERR, f"warning: {message}\n")


def size(count: int) -> str:
    """12.3 MB."""
    value, unit = float(count), UNITS[0]
    for unit in UNITS:
        if value < 1000 or unit == UNITS[-1]:
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def printable(text: str) -> str:
    """What an image says of itself reaches no terminal as it is."""
    return "".join(c if c.isprintable() else "?" for c in text)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as what is in them."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def as_json(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def outcome(given: Given, name: str, descriptor: Descriptor) -> str:
    """What is printed when an image has arrived."""
    if given.switch("json"):
        return as_json({"name": name, "digest": descriptor.digest, "mediaType": descriptor.media_type})
    return f"{descriptor.digest}\n"
