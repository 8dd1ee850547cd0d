"""An OCI layout, in a folder or an archive, as a Source. Must never write."""

from __future__ import annotations

from collections.abc import Iterator
from errno import ENOENT

from pyrunc.image.files import Archive, Folder, document, reading
from pyrunc.image.layout import blob_path, content, find
from pyrunc.image.stream import PIECE
from pyrunc.image.transport import called
from pyrunc.specs.errors import Failure
from pyrunc.specs.image import Descriptor, check_layout, decode_index
from pyrunc.specs.platform import Platform, parse_platform


class LayoutSource:
    def __init__(self, files: Folder | Archive, reference: str, wanted: Platform | None = None) -> None:
        self.files = files
        self.reference = reference
        self.wanted = wanted
        # Of a gzipped archive each blob is read from the archive's beginning on.
        self.parallel = 1 if isinstance(files, Archive) and files.gzipped else 4
        if isinstance(files, Folder):
            files.hold()

    def entries(self) -> tuple[Descriptor, ...]:
        """What index.json names."""
        header, entries = self._read("oci-layout"), self._read("index.json")
        with reading("oci-layout"):
            check_layout(header)
        with reading("index.json"):
            return decode_index(entries).manifests

    def top(self) -> tuple[Descriptor, bytes]:
        descriptor = find(self.entries(), self.reference, self.wanted or _own())
        return descriptor, self.document(descriptor)

    def document(self, descriptor: Descriptor) -> bytes:
        try:
            with reading(called(descriptor)):
                return content(self.files, descriptor)
        except FileNotFoundError as error:
            raise self._missing(error) from None

    def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]:
        try:
            file = self.files.open(blob_path(descriptor))[0]
        except FileNotFoundError as error:
            # Not by the layout: whoever wanted the blob says which it is.
            raise Failure("read the blob", number=ENOENT, detail=f"{error.filename or error} is not there") from None
        with file:
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece

    def close(self) -> None:
        self.files.close()

    def _read(self, name: str) -> bytes:
        try:
            return document(self.files, name)
        except FileNotFoundError as error:
            raise self._missing(error) from None

    def _missing(self, error: FileNotFoundError) -> Failure:
        return Failure(
            f"read {self.files.path}", number=ENOENT, detail=f"{error.filename or error} is not in it"
        )  # fmt: skip


def _own() -> Platform:
    import os

    return parse_platform(os.uname().machine)
