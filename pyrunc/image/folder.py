"""`dir:`, the folders of skopeo: manifest.json and blobs by the hexadecimal part of their digest, all in one place.

    manifest.json   HEX.manifest.json (below an index)   HEX   version
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from pyrunc.image import durable
from pyrunc.image.files import LIMIT_DOCUMENT, Folder, document, reading
from pyrunc.image.stream import PIECE, verified
from pyrunc.image.transport import describe
from pyrunc.specs.decode import Node, decode
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import INDEX, INDEX_TYPES, MANIFEST, MANIFEST_TYPES, Descriptor

VERSION = b"Directory Transport Version: 1.1\n"


def type_of(data: bytes) -> str:
    """What a document without a descriptor is."""
    node = Node(decode(data))
    written = node.text("mediaType")
    return written or (INDEX if "manifests" in node.members else MANIFEST)


class FolderSource:
    parallel = 4

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = Folder(path)

    def top(self) -> tuple[Descriptor, bytes]:
        try:
            data = document(self.files, "manifest.json")
        except FileNotFoundError as error:
            raise Failure(f"read {self.path}", number=error.errno or 2, detail="it has no manifest.json") from None
        with reading("manifest.json"):
            return describe(type_of(data), data), data

    def document(self, descriptor: Descriptor) -> bytes:
        if descriptor.size > LIMIT_DOCUMENT:
            raise Invalid(f"a document of more than {LIMIT_DOCUMENT} bytes", descriptor.pointer)
        name = _hex(descriptor)
        is_manifest = descriptor.media_type in MANIFEST_TYPES + INDEX_TYPES
        try:
            data = document(self.files, f"{name}.manifest.json" if is_manifest else name)
        except FileNotFoundError as error:
            raise Failure(f"read {descriptor.digest}", number=error.errno or 2) from None
        descriptor.verify(data)
        return data

    def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]:
        try:
            file = self.files.open(_hex(descriptor))[0]
        except FileNotFoundError as error:
            raise Failure(f"read {descriptor.digest}", number=error.errno or 2) from None
        with file:
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece

    def close(self) -> None:
        self.files.close()


class FolderDestination:
    """An image in a folder of its own."""

    parallel = 4
    distributes = False

    def __init__(self, path: str) -> None:
        self.path = path
        self.documents: dict[str, bytes] = {}
        try:
            os.makedirs(path, exist_ok=True)
            names = [name for name in os.listdir(path) if not name.startswith(durable.LEFTOVER)]
        except OSError as error:
            raise Failure(f"write {path}", number=error.errno or 0) from error
        if names and "version" not in names:
            raise Failure(f"write {path}", detail="it is not empty and not an image", hint="name a new folder")
        # First of all, because it is what the next one knows the folder by, when this one is killed.
        if not names:
            durable.write(os.path.join(path, "version"), [VERSION])

    def has(self, descriptor: Descriptor) -> bool:
        try:
            return os.stat(os.path.join(self.path, _hex(descriptor))).st_size == descriptor.size
        except OSError:
            return False

    def begun(self, descriptor: Descriptor) -> int:
        return 0

    def put_blob(self, descriptor: Descriptor, pieces: Iterator[bytes]) -> None:
        checked = verified(pieces, descriptor.digest, descriptor.size, f"the blob {descriptor.digest}")
        path = os.path.join(self.path, _hex(descriptor))
        durable.write(path, checked, replace=os.path.lexists(path))

    def put_document(self, descriptor: Descriptor, data: bytes) -> None:
        self.documents[descriptor.digest] = data

    def finish(self, descriptor: Descriptor) -> None:
        top = self.documents.pop(descriptor.digest)
        for digest, data in self.documents.items():
            durable.write(os.path.join(self.path, f"{digest.partition(':')[2]}.manifest.json"), [data], replace=True)
        durable.sync(self.path)
        durable.write(os.path.join(self.path, "manifest.json"), [top], replace=True)

    def close(self) -> None:
        self.documents.clear()


def _hex(descriptor: Descriptor) -> str:
    return descriptor.digest.partition(":")[2]
