"""What refers to images: found in registries, in the store and in layouts; copied with the image that it is about.

Signatures that older tools keep under tags made of the image's digest count as well, between registries. Must never
say anything of whether they are true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pyrunc.image.access import Access
from pyrunc.image.archives import ArchiveDestination
from pyrunc.image.copy import Along, Copier, choose, copy
from pyrunc.image.layoutsource import LayoutSource
from pyrunc.image.reference import Place, Reference
from pyrunc.image.store import LayoutDestination
from pyrunc.image.transport import Source, open_place
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import INDEX_TYPES, MANIFEST_TYPES, Descriptor, decode_either, kind_of
from pyrunc.specs.platform import Platform

if TYPE_CHECKING:
    from pyrunc.image.copy import Report
    from pyrunc.image.transport import Destination

LIMIT = 1000  # of one copy: what refers to what refers to ...
SIGNATURES = (".sig", ".att", ".sbom")


def referrers(
    place: Place, kind: str, wanted: Platform | None, store: str, access: Access | None
) -> list[dict[str, Any]]:
    """What refers to the image at PLACE, of the artifact type KIND alone where that is given."""
    with closing(open_place(place, store, access, wanted)) as source:
        image, data = source.top()
        if wanted:
            image, _ = choose(source, image, data, wanted)
        return [_row(entry) for entry in referring(place, source, image.digest, access, kind)]


def referring(
    place: Place, source: Source, digest: str, access: Access | None, kind: str = ""
) -> list[Descriptor]:
    """The descriptors of what refers to the manifest DIGEST, with type and annotations."""
    if place.image:
        from pyrunc.image.registry.repository import Repository

        with closing(Repository(place.image, access or Access())) as repository:
            return repository.referrers(digest, kind)
    if not isinstance(source, LayoutSource):
        raise Invalid(f"{place} has no referrers", hint="they are in registries, in the store and in layouts")
    return [entry for entry in _of_layout(source, digest) if not kind or entry.artifact_type == kind]


def _of_layout(source: LayoutSource, digest: str) -> Iterator[Descriptor]:
    for entry in source.entries():
        if entry.media_type in INDEX_TYPES + MANIFEST_TYPES:
            value = decode_either(source.document(entry), entry.media_type)
            if value.subject and value.subject.digest == digest:
                # The entry need not say what the manifest does.
                entry.artifact_type, entry.annotations = kind_of(value), value.annotations
                yield entry


def _row(entry: Descriptor) -> dict[str, Any]:
    return {
        "digest": entry.digest, "mediaType": entry.media_type, "size": entry.size, "artifactType": entry.artifact_type,
        "annotations": dict(entry.annotations),
    }  # fmt: skip


def along(place: Place, access: Access | None, target: Destination, to: Place) -> Along:
    """For `copy`: brings what refers to an image at PLACE, and what refers to that, to TARGET as well."""
    attach = _attacher(target, to)

    def bring(copier: Copier) -> None:
        digests = list(copier.manifests)
        seen = set(digests)
        while digests:
            for entry in referring(place, copier.source, digests.pop(), access):
                if entry.digest in seen:
                    continue
                if len(seen) > LIMIT:
                    raise Invalid(f"more than {LIMIT} images refer to one another")
                seen.add(entry.digest)
                digests.append(entry.digest)
                copier.document(entry, copier.source.document(entry), 0)
                attach(entry)

    return bring


def _attacher(target: Destination, to: Place) -> Callable[[Descriptor], None]:
    """How TARGET is told of an image that has no name: a registry sees it by itself."""
    if to.image:
        return lambda descriptor: None
    layout = target.layout if isinstance(target, ArchiveDestination) else target
    if to.transport not in ("oci", "oci-archive") or not isinstance(layout, LayoutDestination):
        raise Invalid(f"{to} has no room for referrers", hint="registries, oci: and oci-archive: have")
    return layout.add


def copy_signatures(
    source: Reference, target: Reference, digests: list[str], accesses: tuple[Access, Access], report: Report
) -> None:
    """Copies the tags by which older tools find the signatures of the manifests DIGESTS."""
    from pyrunc.image.registry.push import RegistryDestination
    from pyrunc.image.registry.repository import Repository, referrers_tag
    from pyrunc.image.registry.source import RegistrySource

    with closing(Repository(source, accesses[0])) as repository:
        tags = [f"{referrers_tag(digest)}{suffix}" for digest in digests for suffix in SIGNATURES]
        found = [tag for tag in tags if repository.knows(tag)]
    for tag in found:
        one, other = (Reference(image.host, image.name, tag) for image in (source, target))
        with closing(RegistrySource(one, accesses[0])) as there:
            with closing(RegistryDestination(other, accesses[1])) as here:
                copy(there, here, None, report)
