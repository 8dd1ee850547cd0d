"""From a Source to a Destination: blobs first, then the manifests that name them, the reference last.

Documents go byte for byte, in the format that they have; what is there already is not sent again.
Must never know which transports these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pyrunc.image.files import reading
from pyrunc.image.source import need_platform
from pyrunc.image.transport import Interrupted, called
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import (
    CONFIG_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    decode_either,
    decode_image_config,
    is_distributable,
)
from pyrunc.specs.platform import Platform, select

if TYPE_CHECKING:
    from pyrunc.image.transport import Destination, Source

LIMIT_DEPTH = 8
ATTEMPTS = 3

# Told of each blob that it "begins" after so many bytes, that so many more are "copying"; and of each blob and document
# in the end, by way of 0, that it is "copied" or was "there". From several threads.
Report = Callable[[str, Descriptor, int], None]


# Copies more, before the place means what has been copied.
Along = Callable[["Copier"], None]


def copy(
    source: Source, target: Destination, wanted: Platform | None, report: Report, along: Along | None = None
) -> Descriptor:
    """Copies what SOURCE means; of an index only what fits WANTED, or with None all of it. Gives its descriptor."""
    descriptor, data = source.top()
    if wanted is not None:
        descriptor, data = choose(source, descriptor, data, wanted)
    copier = Copier(source, target, report)
    copier.document(descriptor, data, 0)
    if along:
        along(copier)
    target.finish(descriptor)
    return descriptor


def choose(source: Source, descriptor: Descriptor, data: bytes, wanted: Platform) -> tuple[Descriptor, bytes]:
    """The manifest for WANTED below an index."""
    for _ in range(LIMIT_DEPTH):
        if descriptor.media_type not in INDEX_TYPES:
            return descriptor, data
        with reading(f"index {descriptor.digest}"):
            index = decode_either(data, descriptor.media_type)
            assert isinstance(index, Index)  # by its media type
            descriptor = select(index.manifests, wanted)
        data = source.document(descriptor)
    raise Invalid(f"image indexes are nested more than {LIMIT_DEPTH} deep")


def check_platform(source: Source, descriptor: Descriptor, data: bytes, wanted: Platform) -> None:
    """An image that was asked for by platform is of that platform, where no index has said so."""
    manifest = decode_either(data, descriptor.media_type)
    if not isinstance(manifest, Index) and manifest.config.media_type in CONFIG_TYPES:
        need_platform(decode_image_config(source.document(manifest.config)), wanted)


class Copier:
    def __init__(self, source: Source, target: Destination, report: Report) -> None:
        self.source = source
        self.target = target
        self.report = report
        self.done: set[str] = set()
        self.manifests: list[str] = []  # and indexes: what others may refer to
        self.stopped = False

    def document(self, descriptor: Descriptor, data: bytes, depth: int) -> None:
        """An index or a manifest, after all that it names."""
        if depth > LIMIT_DEPTH:
            raise Invalid(f"image indexes are nested more than {LIMIT_DEPTH} deep")
        with reading(called(descriptor)):
            value = decode_either(data, descriptor.media_type)
        if isinstance(value, Index):
            for child in value.manifests:
                self.child(child, depth)
        else:
            self.blobs([value.config, *value.layers])
        self.target.put_document(descriptor, data)
        self.manifests.append(descriptor.digest)
        self.report("copied", descriptor, 0)

    def child(self, descriptor: Descriptor, depth: int) -> None:
        if descriptor.digest in self.done:
            return
        if descriptor.media_type in INDEX_TYPES + MANIFEST_TYPES:
            self.document(descriptor, self.source.document(descriptor), depth + 1)
        else:
            self.blob(descriptor)
        self.done.add(descriptor.digest)

    def blobs(self, descriptors: list[Descriptor]) -> None:
        """Several at once, where both sides can: it is the waiting for a network that is shared."""
        missing = {blob.digest: blob for blob in descriptors if blob.digest not in self.done}
        threads = min(self.source.parallel, self.target.parallel, max(len(missing), 1))
        if threads == 1:
            for blob in missing.values():
                self.blob(blob)
        else:
            from concurrent.futures import ThreadPoolExecutor  # 9 ms, which unpacking goes without

            pool = ThreadPoolExecutor(threads, "blob")
            futures = [pool.submit(self.blob, blob) for blob in missing.values()]
            try:
                for future in futures:
                    future.result()
            except BaseException as error:
                # The others end at their next piece. Whoever presses Ctrl-C does not wait for a network until then.
                self.stopped = True
                pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
                raise
            pool.shutdown()
        self.done.update(missing)

    def blob(self, descriptor: Descriptor) -> None:
        if self.target.distributes and not is_distributable(descriptor):
            return
        if self.target.has(descriptor):
            self.report("there", descriptor, 0)
            return
        for attempt in range(1, ATTEMPTS + 1):
            try:
                start = self.target.begun(descriptor)
                self.report("begins", descriptor, start)
                self.target.put_blob(descriptor, self.pieces(descriptor, start))
                break
            except Interrupted:
                if attempt == ATTEMPTS:
                    raise
        self.report("copied", descriptor, 0)

    def pieces(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        data = descriptor.embedded()
        for piece in self.source.blob(descriptor, start) if data is None else (data[start:],):
            if self.stopped:
                raise Failure(f"copy {descriptor.digest}", detail="another blob failed before it was whole")
            self.report("copying", descriptor, len(piece))
            yield piece
