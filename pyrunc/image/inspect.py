"""What images are, as plain values for `inspect` and `ls`. Signatures are not looked at, and that is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from pyrunc.image.access import Access
from pyrunc.image.copy import choose
from pyrunc.image.files import Folder, reading
from pyrunc.image.layout import REF_NAME, content
from pyrunc.image.layoutsource import LayoutSource
from pyrunc.image.reference import Place
from pyrunc.image.store import Store, parts
from pyrunc.image.transport import Source, open_place
from pyrunc.specs.decode import decode
from pyrunc.specs.errors import Invalid, PyruncError
from pyrunc.specs.image import (
    CONFIG_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    Manifest,
    decode_either,
    decode_manifest,
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
        found["artifactType"] = manifest.artifact_type or manifest.config.media_type
    return found


def referrers(
    place: Place, kind: str, wanted: Platform | None, store: str, access: Access | None
) -> list[dict[str, Any]]:
    """What refers to the image at PLACE, of the artifact type KIND alone where that is given."""
    with closing(open_place(place, store, access, wanted)) as source:
        image, data = source.top()
        if wanted:
            image, _ = choose(source, image, data, wanted)
        if place.image:
            from pyrunc.image.registry.repository import Repository

            with closing(Repository(place.image, access or Access())) as repository:
                return [_referrer(entry) for entry in repository.referrers(image.digest, kind)]
        if not isinstance(source, LayoutSource):
            raise Invalid(f"{place} has no referrers", hint="they are in registries, in the store and in layouts")
        found = [_referrer(entry, value) for entry, value in _referring(source, image.digest)]
        return [one for one in found if not kind or one["artifactType"] == kind]


def _referring(source: LayoutSource, digest: str) -> Iterator[tuple[Descriptor, Index | Manifest]]:
    """The images of a layout whose subject is DIGEST."""
    for entry in source.entries():
        if entry.media_type in INDEX_TYPES + MANIFEST_TYPES:
            value = decode_either(source.document(entry), entry.media_type)
            if value.subject and value.subject.digest == digest:
                yield entry, value


def _referrer(entry: Descriptor, value: Index | Manifest | None = None) -> dict[str, Any]:
    """A row of the list; VALUE says what a layout's own entry need not say."""
    kind, annotations = entry.artifact_type, entry.annotations
    if value:
        kind = value.artifact_type or ("" if isinstance(value, Index) else value.config.media_type)
        annotations = value.annotations
    return {
        "digest": entry.digest, "mediaType": entry.media_type, "size": entry.size, "artifactType": kind,
        "annotations": dict(annotations),
    }  # fmt: skip


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
