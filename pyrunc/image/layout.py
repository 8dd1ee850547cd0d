"""OCI image layouts: which entry of index.json is meant, and the documents that descriptors describe.

Every document is read by its descriptor, which says size, digest and type, and is refused when it is not that.
Must never open a layer: it only says where it is.
"""

from __future__ import annotations

from pyrunc.image.files import LIMIT_DOCUMENT, Store, document
from pyrunc.specs.errors import Invalid
from pyrunc.specs.image import Descriptor
from pyrunc.specs.platform import Platform, select

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"  # where containerd and Docker write what they were asked for


def find(entries: tuple[Descriptor, ...], reference: str, wanted: Platform) -> Descriptor:
    """The entry of index.json that REFERENCE means."""
    every = entries
    if reference.startswith("@"):
        number = reference[1:]
        if not (number.isascii() and number.isdigit()) or len(number) > 9 or int(number) >= len(entries):
            raise Invalid(f"there is no image number {number} in the layout", "manifests", hint=_names(every))
        return entries[int(number)]
    if reference:
        entries = tuple(entry for entry in entries if reference in _called(entry))
        if not entries:
            raise Invalid(f"there is no image {reference!r} in the layout", "manifests", hint=_names(every))
    if len({entry.digest for entry in entries}) == 1:
        return entries[0]
    # Several entries are one image only when they are told apart by nothing but their platforms.
    if entries and all(entry.platform for entry in entries) and len({_called(entry) for entry in entries}) == 1:
        return select(entries, wanted)
    what = f"{reference!r} is ambiguous in the layout" if reference else "the layout does not hold exactly one image"
    raise Invalid(what, "manifests", hint=_names(every))


def _called(entry: Descriptor) -> tuple[str, ...]:
    return tuple(entry.annotations[key] for key in (REF_NAME, FULL_NAME) if key in entry.annotations)


def _names(entries: tuple[Descriptor, ...]) -> str:
    names = sorted({repr(name) for entry in entries for name in _called(entry)[:1]})
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


def blob_path(descriptor: Descriptor) -> str:
    """Where a layout has it."""
    # The grammar of digests, which the descriptor has passed, leaves no room for a slash.
    algorithm, _, encoded = descriptor.digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"
