"""Archives of `docker save`: manifest.json names a configuration and layers by the names of files in the archive.

There are no descriptors: the configuration is known by its name where that is its digest, the layers by the
configuration's diff_ids. Must never open a layer before it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pyrunc.image.files import Archive, Store, document, reading
from pyrunc.image.source import Image, Layer
from pyrunc.image.stream import read
from pyrunc.specs.decode import Node, decode
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import ImageConfig, decode_image_config, digest_of

HEXADECIMAL = set("0123456789abcdef")


class Saved:
    """What manifest.json says of one image: its configuration, as it is in the file `name`, and the files of its
    layers, as many as the configuration has."""

    __slots__ = ("config", "data", "layers", "name")

    def __init__(self, name: str, data: bytes, config: ImageConfig, layers: tuple[str, ...]) -> None:
        self.name = name
        self.data = data
        self.config = config
        self.layers = layers


def saved(store: Store, reference: str) -> Saved:
    """The image REFERENCE of an archive."""
    entries = document(store, "manifest.json")
    with reading("manifest.json"):
        items = decode(entries)
        if not isinstance(items, list):
            raise Invalid("expected an array")
        chosen = find([Node(item, f"[{index}]") for index, item in enumerate(items)], reference)
        name = chosen.required_text("Config")
    data = document(store, name)
    _check_name(name, data)
    with reading(name):
        config = decode_image_config(data)
    layers = chosen.texts("Layers")
    if len(layers) != len(config.diff_ids):
        message = f"manifest.json has {len(layers)} layers, the config {len(config.diff_ids)}"
        raise Invalid(message, chosen.at("Layers"))
    return Saved(name, data, config, layers)


def open_image(path: str, reference: str) -> Image:
    """The image REFERENCE of the archive PATH, to be unpacked."""
    store = Archive(path)
    with closed_on_error(store):
        found = saved(store, reference)
        pairs = zip(found.layers, found.config.diff_ids, strict=True)
        return Image(found.config, [_layer(store, name, diff_id) for name, diff_id in pairs], store)


@contextmanager
def closed_on_error(store: Archive) -> Iterator[None]:
    """A file that is missing is named by its archive."""
    try:
        yield
    except FileNotFoundError as error:
        store.close()
        raise Failure(f"read {store.path}", number=error.errno or 2, detail=f"{error} is not in it") from None
    except BaseException:
        store.close()
        raise


def find(images: list[Node], reference: str) -> Node:
    if reference.startswith("@"):
        number = reference[1:]
        if not (number.isascii() and number.isdigit()) or len(number) > 9 or int(number) >= len(images):
            raise Invalid(f"there is no image number {number} in the archive", hint=_names(images))
        return images[int(number)]
    if reference:
        wanted = _full(reference)
        found = [image for image in images if wanted in map(_full, image.texts("RepoTags"))]
        if not found:
            raise Invalid(f"there is no image {reference!r} in the archive", hint=_names(images))
        return found[-1]  # as if one were loaded after the other
    if len(images) != 1:
        raise Invalid("the archive does not hold exactly one image", hint=_names(images))
    return images[0]


def _full(name: str) -> str:
    """A name as Docker means it: without the registry and folder that it takes for granted, with a tag."""
    short = name.removeprefix("docker.io/").removeprefix("library/")
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"


def _names(images: list[Node]) -> str:
    names = [repr(tag) for image in images for tag in image.texts("RepoTags")]
    return (
        f"it holds {', '.join(names[:10])}{' ...' if names[10:] else ''}" if names else "it holds no image with a name"
    )


def _check_name(name: str, data: bytes) -> None:
    """The configuration's file is called after its digest: `HEX.json`, or `blobs/sha256/HEX` since Docker 25."""
    digest = name.rpartition("/")[2].removesuffix(".json")
    if len(digest) == 64 and HEXADECIMAL.issuperset(digest) and digest_of(data) != f"sha256:{digest}":
        raise Invalid(f"the configuration {name} is not what its name says")


def _layer(store: Store, name: str, diff_id: str) -> Layer:
    # No blob digest is known, but what is unpacked must be DIFF_ID.
    file, size = store.open(name)
    file.close()
    return Layer("", size, diff_id, partial(_pieces, store, name))


def _pieces(store: Store, name: str) -> Iterator[bytes]:
    yield from read(store.open(name)[0])
