"""Where an image to be unpacked comes from: the text SOURCE, opened as an image whose documents have been verified.

    oci:DIR[:REF]   oci-archive:FILE[:REF]   docker-archive:FILE[:REF]   dir:DIR   docker://NAME

REF is the name of the image; `@N` is the Nth one. Must never unpack anything: layers are only described here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from pyrunc.specs.errors import Invalid

if TYPE_CHECKING:
    from pyrunc.image.access import Access
    from pyrunc.specs.image import ImageConfig
    from pyrunc.specs.platform import Platform

TRANSPORTS = ("oci", "oci-archive", "docker-archive", "dir", "docker")


class Layer:
    """One layer: `pieces` gives its blob, of `size` bytes with `digest` ("": not known), unpacked `diff_id`."""

    __slots__ = ("diff_id", "digest", "pieces", "size")

    def __init__(self, digest: str, size: int, diff_id: str, pieces: Callable[[], Iterator[bytes]]) -> None:
        self.digest = digest
        self.size = size
        self.diff_id = diff_id
        self.pieces = pieces


class Closable(Protocol):
    def close(self) -> None: ...


class Image:
    """A verified configuration and the layers that go with it, the lowest first; `origin` is where they are."""

    __slots__ = ("config", "layers", "origin")

    def __init__(self, config: ImageConfig, layers: list[Layer], origin: Closable) -> None:
        self.config = config
        self.layers = layers
        self.origin = origin

    def close(self) -> None:
        self.origin.close()


def parse(source: str) -> tuple[str, str, str]:
    """The transport, the path and the reference ("" when there is none) of a SOURCE."""
    transport, colon, rest = source.partition(":")
    path, _, reference = rest.partition(":")
    if not colon or transport not in TRANSPORTS or not path:
        hint = "oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], dir:DIR or docker://NAME"
        raise Invalid(f"{source!r} is not the source of an image", hint=hint)
    return transport, path, reference


def open_source(source: str, platform: str | None, access: Access | None = None) -> Image:
    """The image that SOURCE names; of several platforms the one that fits this machine, or PLATFORM."""
    transport, path, reference = parse(source)
    wanted = _platform(platform)
    if transport == "docker-archive":
        from pyrunc.image.docker import open_image

        image = open_image(path, reference)
    else:
        from pyrunc.image.carried import carry

        image = carry(source, wanted, access)
    try:
        if platform:
            need_platform(image.config, wanted)
    except BaseException:
        image.close()
        raise
    return image


def _platform(platform: str | None) -> Platform:
    from pyrunc.specs.platform import parse_platform

    if platform:
        return parse_platform(platform)
    import os

    return parse_platform(os.uname().machine)


def need_platform(config: ImageConfig, wanted: Platform) -> None:
    """An image that was asked for by platform is of that platform, whatever the index said of it."""
    from pyrunc.specs.platform import fitness, platform

    found = platform(config.os, config.architecture, config.variant, config.os_features)
    if fitness(found, wanted) is None:
        raise Invalid(f"the image is for {found}, not for {wanted}")
