"""What every transport is: a Source that images come from, a Destination that they go to; and which one a Place means.

A Source hands out documents that are verified, and blobs that whoever reads them verifies on the way. A Destination
makes a blob visible only when it is what its descriptor says, and a manifest only after all that it names.
Must never know how any of them works.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from pyrunc.image.access import Access
from pyrunc.image.reference import check_name, parse_place
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import CONFIG_TYPES, INDEX_TYPES, Descriptor, digest_of

if TYPE_CHECKING:
    from pyrunc.image.reference import Place
    from pyrunc.specs.platform import Platform


class Source(Protocol):
    parallel: int  # blobs that may be read at the same time

    def top(self) -> tuple[Descriptor, bytes]:
        """What the place means: an index or a manifest."""

    def document(self, descriptor: Descriptor) -> bytes:
        """An index, a manifest or a configuration, verified."""

    def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]:
        """The bytes from START on, not verified."""

    def close(self) -> None: ...


class Destination(Protocol):
    parallel: int
    distributes: bool  # to the public: layers that may not be distributed stay away

    def has(self, descriptor: Descriptor) -> bool: ...

    def begun(self, descriptor: Descriptor) -> int:
        """How many of its first bytes are left of an earlier attempt: what is put next goes on behind them."""

    def put_blob(self, descriptor: Descriptor, pieces: Iterator[bytes]) -> None: ...

    def put_document(self, descriptor: Descriptor, data: bytes) -> None:
        """An index or a manifest, byte for byte; all that it names is there."""

    def finish(self, descriptor: Descriptor) -> None:
        """The place now means this."""

    def close(self) -> None: ...


class Interrupted(Failure):
    """A blob that was on its way is lost, and may arrive when it is sent once more from its beginning."""


def need_one_registry(access: Access | None, *places: str) -> None:
    """A password that the caller gives is for one registry, and is not offered to two."""
    hosts = {place.image.host for place in map(parse_place, filter(None, places)) if place.image}
    if access and access.credentials and len(hosts) > 1:
        hint = "an --authfile has one for each; `image copy` has --src-creds and --dest-creds"
        raise Invalid(f"there is one password for {' and '.join(sorted(hosts))}", hint=hint)


def describe(media_type: str, data: bytes, algorithm: str = "sha256") -> Descriptor:
    """The descriptor of a document at hand."""
    return Descriptor(Node({"mediaType": media_type, "digest": digest_of(data, algorithm), "size": len(data)}))


def called(descriptor: Descriptor) -> str:
    """A document in the words of errors."""
    if descriptor.media_type in CONFIG_TYPES:
        return f"config {descriptor.digest}"
    return f"{'index' if descriptor.media_type in INDEX_TYPES else 'manifest'} {descriptor.digest}"


def open_place(place: Place, store: str = "", access: Access | None = None, wanted: Platform | None = None) -> Source:
    """The image at PLACE. STORE is the folder of the store ("": the usual one); WANTED chooses among entries of a
    layout that differ by platform alone."""
    if place.image:
        from pyrunc.image.registry.source import RegistrySource

        return RegistrySource(place.image, access or Access())
    if place.transport == "store":
        from pyrunc.image.store import Store

        return Store(store).source(place.reference, wanted)
    if place.transport == "dir":
        from pyrunc.image.folder import FolderSource

        return FolderSource(place.path)
    if place.transport == "docker-archive":
        from pyrunc.image.dockersource import DockerSource

        return DockerSource(place.path, place.reference)
    from pyrunc.image.files import Archive, Folder
    from pyrunc.image.layoutsource import LayoutSource

    files = Folder(place.path) if place.transport == "oci" else Archive(place.path)
    return LayoutSource(files, place.reference, wanted)


def open_target(
    place: Place, store: str = "", access: Access | None = None, origin: Place | None = None
) -> Destination:
    """PLACE, to be filled from ORIGIN."""
    if place.image:
        from pyrunc.image.registry.push import RegistryDestination

        near = origin is not None and origin.image is not None and origin.image.host == place.image.host
        mount_from = origin.image.name if near and origin and origin.image else ""
        return RegistryDestination(place.image, access or Access(), mount_from)
    if place.reference.startswith("@"):
        raise Invalid(f"{place.reference} is the number of an image that is there; a new one needs a name")
    if place.transport in ("oci", "oci-archive") and place.reference:
        check_name(place.reference)
    if place.transport == "store":
        from pyrunc.image.store import Store

        return Store(store).destination(place.reference)
    if place.transport == "dir":
        from pyrunc.image.folder import FolderDestination

        return FolderDestination(place.path)
    if place.transport == "oci":
        from pyrunc.image.store import LayoutDestination

        return LayoutDestination(place.path, place.reference)
    from pyrunc.image.archives import ArchiveDestination

    return ArchiveDestination(place.path, place.reference, docker=place.transport == "docker-archive")
