"""OCI image layouts: from index.json by way of descriptors to the one manifest that is wanted.

Every document is read by its descriptor, which says size, digest and type, and is refused when it is not that.
Indexes may nest, but not without end (CVE-2026-53493). Must never open a layer: it only says how.
"""

from __future__ import annotations

from typing import IO

from pyrunc.image.files import LIMIT_DOCUMENT, Store, document, reading
from pyrunc.image.source import Image, Layer
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import (
    CONFIG_TYPES,
    INDEX_TYPES,
    Descriptor,
    Index,
    check_layers,
    check_layout,
    decode_image_config,
    decode_index,
    decode_manifest,
)
from pyrunc.specs.platform import Platform, select

LIMIT_DEPTH = 8
REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"  # where containerd and Docker write what they were asked for


def open_image(store: Store, reference: str, wanted: Platform) -> Image:
    """The image REFERENCE of a layout, for the platform WANTED when there are several."""
    header, entries = document(store, "oci-layout"), document(store, "index.json")
    with reading("oci-layout"):
        check_layout(header)
    with reading("index.json"):
        index = decode_index(entries)
    descriptor = find(index, reference, wanted)
    for _ in range(LIMIT_DEPTH):
        if descriptor.media_type not in INDEX_TYPES:
            break
        with reading(f"index {descriptor.digest}"):
            index = decode_index(content(store, descriptor), descriptor.media_type)
        descriptor = select(index.manifests, wanted)
    else:
        raise Invalid(f"image indexes are nested more than {LIMIT_DEPTH} deep")
    with reading(f"manifest {descriptor.digest}"):
        manifest = decode_manifest(content(store, descriptor), descriptor.media_type)
        if manifest.config.media_type not in CONFIG_TYPES:
            raise Invalid(f"{manifest.config.media_type!r} is not the configuration of an image", "config.mediaType")
    with reading(f"config {manifest.config.digest}"):
        config = decode_image_config(content(store, manifest.config))
    check_layers(manifest, config)
    pairs = zip(manifest.layers, config.diff_ids, strict=True)
    return Image(config, [_layer(store, blob, diff_id) for blob, diff_id in pairs], store)


def find(index: Index, reference: str, wanted: Platform) -> Descriptor:
    """The entry of index.json that REFERENCE means."""
    entries = index.manifests
    if reference.startswith("@"):
        number = reference[1:]
        if not (number.isascii() and number.isdigit()) or len(number) > 9 or int(number) >= len(entries):
            raise Invalid(f"there is no image number {number} in the layout", "manifests", hint=_names(index))
        return entries[int(number)]
    if reference:
        entries = tuple(entry for entry in entries if reference in _called(entry))
        if not entries:
            raise Invalid(f"there is no image {reference!r} in the layout", "manifests", hint=_names(index))
    if len({entry.digest for entry in entries}) == 1:
        return entries[0]
    # Several entries are one image only when they are told apart by nothing but their platforms.
    if entries and all(entry.platform for entry in entries) and len({_called(entry) for entry in entries}) == 1:
        return select(entries, wanted)
    what = f"{reference!r} is ambiguous in the layout" if reference else "the layout does not hold exactly one image"
    raise Invalid(what, "manifests", hint=_names(index))


def _called(entry: Descriptor) -> tuple[str, ...]:
    return tuple(entry.annotations[key] for key in (REF_NAME, FULL_NAME) if key in entry.annotations)


def _names(index: Index) -> str:
    names = sorted({repr(name) for entry in index.manifests for name in _called(entry)[:1]})
    return (
        f"it holds {', '.join(names[:10])}{' ...' if names[10:] else ''}" if names else "it holds no image with a name"
    )


def content(store: Store, descriptor: Descriptor) -> bytes:
    """The document that a descriptor describes, verified."""
    if descriptor.size > LIMIT_DOCUMENT:
        raise Invalid(f"a document of more than {LIMIT_DOCUMENT} bytes", descriptor.pointer)
    data = descriptor.embedded()
    if data is None:
        data = document(store, blob_path(descriptor))
        descriptor.verify(data)
    return data


def _layer(store: Store, blob: Descriptor, diff_id: str) -> Layer:
    def open() -> IO[bytes]:
        return store.open(blob_path(blob))[0]

    return Layer(blob.digest, blob.size, diff_id, open)


def blob_path(descriptor: Descriptor) -> str:
    """Where a layout has it."""
    # The grammar of digests, which the descriptor has passed, leaves no room for a slash.
    algorithm, _, encoded = descriptor.digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"
