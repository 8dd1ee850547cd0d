"""An image to be unpacked out of any Source: layers are read where they are, and never kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from pyrunc.image.copy import choose
from pyrunc.image.files import reading
from pyrunc.image.reference import parse_place
from pyrunc.image.source import Image, Layer
from pyrunc.image.transport import Source, open_place
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import CONFIG_TYPES, Descriptor, check_layers, decode_image_config, decode_manifest

if TYPE_CHECKING:
    from pyrunc.specs.platform import Platform


class Stream(io.RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return 0
            self.rest = piece
        part, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


class Opened:
    """What `Image` closes."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def open(self, name: str) -> tuple[IO[bytes], int]:
        raise FileNotFoundError(name)  # its layers know where they are

    def close(self) -> None:
        self.source.close()


def open_image(text: str, wanted: Platform) -> Image:
    """The image at the place TEXT."""
    source = open_place(parse_place(text), wanted=wanted)
    try:
        descriptor, data = choose(source, *source.top(), wanted)
        with reading(f"manifest {descriptor.digest}"):
            manifest = decode_manifest(data, descriptor.media_type)
            if manifest.config.media_type not in CONFIG_TYPES:
                what = f"{manifest.config.media_type!r} is not the configuration of an image"
                raise Invalid(what, "config.mediaType")
        with reading(f"config {manifest.config.digest}"):
            config = decode_image_config(source.document(manifest.config))
        check_layers(manifest, config)
        pairs = zip(manifest.layers, config.diff_ids, strict=True)
        layers = [Layer(blob.digest, blob.size, diff_id, _opener(source, blob)) for blob, diff_id in pairs]
        return Image(config, layers, Opened(source))
    except BaseException:
        source.close()
        raise


def _opener(source: Source, blob: Descriptor) -> Callable[[], IO[bytes]]:
    return lambda: io.BufferedReader(Stream(source.blob(blob)), 1 << 20)
