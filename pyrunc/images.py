"""Images from Python: the same as `pyrunc image`, typed.

    from pyrunc import images
    images.pull("docker.io/library/debian:12")
    images.copy("docker://alpine:3", "oci:layout:alpine")

Whatever goes wrong is a PyruncError. Importing this loads little; each function loads what it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyrunc.image.copy import Report
    from pyrunc.image.reference import Place
    from pyrunc.image.transport import Access
    from pyrunc.specs.image import Descriptor
    from pyrunc.specs.platform import Platform


def copy(
    source: str,
    target: str,
    *,
    platform: str = "",
    all: bool = False,
    store: str = "",
    access: Access | None = None,
    target_access: Access | None = None,
    report: Report | None = None,
) -> Descriptor:
    """Copies an image between any two places; the descriptor of what the target now means.

    Of an index the image for PLATFORM (`OS/ARCH[/VARIANT]`, this machine's when it is "") is taken, or ALL of it.
    REPORT is told what became of each blob, from several threads.
    """
    from pyrunc.image.reference import parse_place

    return _copy(parse_place(source), parse_place(target), platform, all, store, access, target_access, report)


def pull(
    source: str,
    *,
    name: str = "",
    platform: str = "",
    all: bool = False,
    store: str = "",
    access: Access | None = None,
    report: Report | None = None,
) -> tuple[str, Descriptor]:
    """Puts an image into the store, under NAME or the one that it has; the name, and what it means."""
    from pyrunc.image.reference import Place, parse_name, parse_place
    from pyrunc.specs.errors import Invalid

    place = parse_place(source)
    if place.transport == "store":
        place = parse_place(f"docker://{source}")
    found = name or (str(place.image) if place.image else place.reference)
    if not found or found.startswith("@"):
        raise Invalid(f"{source} does not say what the image is called", hint="--name NAME")
    target = Place("store", reference=parse_name(found))
    return target.reference, _copy(place, target, platform, all, store, access, None, report)


def push(
    name: str,
    target: str = "",
    *,
    platform: str = "",
    all: bool = False,
    store: str = "",
    access: Access | None = None,
    report: Report | None = None,
) -> Descriptor:
    """Copies an image out of the store, by default to the registry that its name says."""
    from pyrunc.image.reference import parse_name, parse_place

    name = parse_name(name)
    place = parse_place(target or f"docker://{name}")
    if place.transport == "store":
        place = parse_place(f"docker://{target}")
    return _copy(parse_place(name), place, platform, all, store, None, access, report)


def unpack(
    source: str,
    bundle: str,
    *,
    platform: str | None = None,
    rootless: bool | None = None,
    warn: Callable[[str], None] | None = None,
    store: str = "",
) -> None:
    """Makes the folder BUNDLE from the image SOURCE, which may be a name in the store; see pyrunc.image.unpack."""
    from pyrunc.image import unpack as make_bundle

    make_bundle(locate(source, store), bundle, platform=platform, rootless=rootless, warn=warn)


def locate(source: str, store: str = "") -> str:
    """SOURCE, where a name in the store becomes the layout that the store is and the name in it."""
    from pyrunc.image.reference import parse_place
    from pyrunc.image.store import Store

    place = parse_place(source)
    return Store(store).place(place.reference) if place.transport == "store" else source


def tag(name: str, other: str, *, store: str = "") -> None:
    """The image NAME of the store is also called OTHER."""
    from pyrunc.image.reference import parse_name
    from pyrunc.image.store import Store

    Store(store).tag(parse_name(name), parse_name(other))


def remove(name: str, *, store: str = "") -> None:
    """NAME leaves the store; `collect` frees the room."""
    from pyrunc.image.reference import parse_name
    from pyrunc.image.store import Store

    Store(store).remove(parse_name(name))


def collect(*, store: str = "") -> tuple[int, int]:
    """Removes what no name leads to; how many files and bytes."""
    from pyrunc.image.store import Store

    return Store(store).collect()


def inspect(
    source: str, *, platform: str = "", store: str = "", access: Access | None = None
) -> dict[str, Any]:
    """What an image is: its digest, platforms, configuration and layers."""
    from pyrunc.image.inspect import inspect as look
    from pyrunc.image.reference import parse_place
    from pyrunc.image.transport import open_place

    wanted = _platform(platform)
    found = open_place(parse_place(source), store, access, wanted)
    try:
        return look(found, wanted)
    finally:
        found.close()


def listing(*, store: str = "") -> list[dict[str, Any]]:
    """The images of the store: name, digest, size, platforms."""
    from pyrunc.image.inspect import listing as look

    return look(store)


def _copy(
    source: Place,
    target: Place,
    platform: str,
    all: bool,
    store: str,
    access: Access | None,
    target_access: Access | None,
    report: Report | None,
) -> Descriptor:
    from contextlib import closing

    from pyrunc.image.copy import copy as carry
    from pyrunc.image.transport import open_place, open_target

    wanted = _platform(platform)
    with closing(open_place(source, store, access, wanted)) as opened:
        opened.top()  # a source that is not there leaves no trace at the target
        with closing(open_target(target, store, target_access, source)) as filled:
            return carry(opened, filled, None if all else wanted, report or (lambda state, descriptor: None))


def _platform(text: str) -> Platform:
    import os

    from pyrunc.specs.platform import parse_platform

    return parse_platform(text or os.uname().machine)
