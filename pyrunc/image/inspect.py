"""What images are, as plain values for `inspect` and `ls`. Signatures are not looked at, and that is said."""

from __future__ import annotations

from typing import Any

from pyrunc.image.copy import choose
from pyrunc.image.files import Folder, reading
from pyrunc.image.layout import REF_NAME, content
from pyrunc.image.store import Store, parts
from pyrunc.image.transport import Source
from pyrunc.specs.decode import decode
from pyrunc.specs.errors import PyruncError
from pyrunc.specs.image import (
    CONFIG_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    decode_either,
    decode_manifest,
    kind_of,
)
from pyrunc.specs.platform import Platform


def inspect(source: Source, wanted: Platform) -> dict[str, Any]:
    top, data = source.top()
    found: dict[str, Any] = {"digest": top.digest, "mediaType": top.media_type, "verified": "digests; no signatures"}
    if top.media_type in INDEX_TYPES:
        index = decode_either(data, top.media_type)
        assert isinstance(index, Index)  # by its media type
        found["platforms"] = [str(entry.platform) for entry in index.manifests if entry.platform]
    chosen, data = choose(source, top, data, wanted)
    with reading(f"manifest {chosen.digest}"):
        manifest = decode_manifest(data, chosen.media_type)
    found["manifest"] = chosen.digest
    found["annotations"] = dict(manifest.annotations)
    found["layers"] = [
        {"digest": layer.digest, "mediaType": layer.media_type, "size": layer.size} for layer in manifest.layers
    ]
    found["size"] = sum(layer.size for layer in manifest.layers)
    if manifest.config.media_type in CONFIG_TYPES:
        found["config"] = decode(source.document(manifest.config))
    else:
        found["artifactType"] = kind_of(manifest)
    return found


def listing(store: str) -> list[dict[str, Any]]:
    """Each image of the store with its name, digest, platforms, and the size of what is here of it."""
    place = Store(store)
    return [_row(Folder(place.path), entry) for entry in place.entries()]


def _row(files: Folder, entry: Descriptor) -> dict[str, Any]:
    found: dict[str, Any] = {"name": entry.annotations.get(REF_NAME, ""), "digest": entry.digest}
    sizes: dict[str, int] = {}
    platforms: list[str] = []
    try:
        _walk(files, entry, sizes, platforms, 0)
    except PyruncError as error:
        found["error"] = str(error)  # one damaged image does not hide the others
    return {**found, "size": sum(sizes.values()), "platforms": platforms}


def _walk(files: Folder, entry: Descriptor, sizes: dict[str, int], platforms: list[str], depth: int) -> None:
    if entry.digest in sizes or depth > 8:
        return
    if entry.media_type not in INDEX_TYPES + MANIFEST_TYPES:
        sizes[entry.digest] = entry.size
        return
    try:
        data = content(files, entry)
    except FileNotFoundError:
        return
    sizes[entry.digest] = entry.size
    value = decode_either(data, entry.media_type)
    for part in parts(value):
        _walk(files, part, sizes, platforms, depth + 1)
    if not isinstance(value, Index) and value.config.media_type in CONFIG_TYPES:
        try:
            config = decode(content(files, value.config))
        except FileNotFoundError:
            return
        platforms.append("/".join(str(config[key]) for key in ("os", "architecture", "variant") if config.get(key)))
