"""An image to be unpacked out of any Source: layers are read where they are, and never kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pyrunc.image.copy import choose
from pyrunc.image.files import reading
from pyrunc.image.reference import parse_place
from pyrunc.image.source import Image, Layer
from pyrunc.image.transport import open_place
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import CONFIG_TYPES, check_layers, decode_image_config, decode_manifest

if TYPE_CHECKING:
    from pyrunc.image.access import Access
    from pyrunc.specs.platform import Platform


def carry(text: str, wanted: Platform, access: Access | None = None) -> Image:
    """The image at the place TEXT."""
    source = open_place(parse_place(text), access=access, wanted=wanted)
    try:
        descriptor, data = choose(source, *source.top(), wanted)
        with reading(f"manifest {descriptor.digest}"):
            manifest = decode_manifest(data, descriptor.media_type)
            if manifest.config.media_type not in CONFIG_TYPES:
                what = f"{manifest.config.media_type!r} is not the configuration of an image"
                raise Invalid(what, "config.mediaType")
        data = source.document(manifest.config)
        with reading(f"config {manifest.config.digest}"):
            config = decode_image_config(data)
        check_layers(manifest, config)
        pairs = zip(manifest.layers, config.diff_ids, strict=True)
        layers = [Layer(blob.digest, blob.size, diff_id, partial(source.blob, blob)) for blob, diff_id in pairs]
        return Image(config, layers, source)
    except BaseException:
        source.close()
        raise
