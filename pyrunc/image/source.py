"""Where an image comes from: the text SOURCE of the command line, opened as an image whose documents have been
verified.

    oci:DIR[:REF]   oci-archive:FILE[:REF]   docker-archive:FILE[:REF]   dir:DIR   docker://NAME

REF is the name of the image; `@N` is the Nth one. Must never unpack anything: layers are only described here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from pyrunc.image.files import Archive, Folder, Store
from pyrunc.specs.errors import Failure, Invalid

if TYPE_CHECKING:
    from pyrunc.specs.image import ImageConfig
    from pyrunc.specs.platform import Platform

TRANSPORTS = ("oci", "oci-archive", "docker-archive", "dir", "docker")


class Layer:
    """One layer: `open` gives its blob, of `size` bytes with `digest` ("": not known), unpacked `diff_id`."""

    __slots__ = ("diff_id", "digest", "open", "size")

    def __init__(self, digest: str, size: int, diff_id: str, open: Callable[[], IO[bytes]]) -> None:
        self.digest = digest
        self.size = size
        self.diff_id = diff_id
        self.open = open


class Image:
    """A verified configuration and the layers that go with it, the lowest first."""

    __slots__ = ("config", "layers", "store")

    def __init__(self, config: ImageConfig, layers: list[Layer], store: Store) -> None:
        self.config = config
        self.layers = layers
        self.store = store

    def close(self) -> None:
        self.store.close()


def parse(source: str) -> tuple[str, str, str]:
    """The transport, the path and the reference ("" when there is none) of a SOURCE."""
    transport, colon, rest = source.partition(":")
    path, _, reference = rest.partition(":")
    if not colon or transport not in TRANSPORTS or not path:
        hint = "oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], dir:DIR or docker://NAME"
        raise Invalid(f"{source!r} is not the source of an image", hint=hint)
    return transport, path, reference


def open_source(source: str, platform: str | None) -> Image:
    """The image that SOURCE names; of several platforms the one that fits this machine, or PLATFORM."""
    transport, path, reference = parse(source)
    wanted = _platform(platform)
    if transport in ("dir", "docker"):
        from pyrunc.image.carried import open_image

        return open_image(source, wanted)
    store = Folder(path) if transport == "oci" else Archive(path)
    try:
        if transport == "docker-archive":
            from pyrunc.image import docker

            image = docker.open_image(store, reference)
        else:
            from pyrunc.image import layout

            image = layout.open_image(store, reference, wanted)
        if platform:
            _check_platform(image.config, wanted)
    except FileNotFoundError as error:
        store.close()
        raise Failure(
            f"read {path}", number=error.errno or 2, detail=f"{error.filename or error} is not in it"
        ) from None
    except BaseException:
        store.close()
        raise
    return image


def _platform(platform: str | None) -> Platform:
    from pyrunc.specs.platform import parse_platform

    if platform:
        return parse_platform(platform)
    import os

    return parse_platform(os.uname().machine)


def _check_platform(config: ImageConfig, wanted: Platform) -> None:
    """An image that was asked for by platform is of that platform, whatever the index said of it."""
    from pyrunc.specs.platform import fitness, platform

    found = platform(config.os, config.architecture, config.variant, config.os_features)
    if fitness(found, wanted) is None:
        raise Invalid(f"the image is for {found}, not for {wanted}")
