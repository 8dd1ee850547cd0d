"""The store: an OCI layout on disk that many processes share, readable by every tool that knows layouts.

    DIR/oci-layout, index.json, blobs/ALGORITHM/HEX

A lock on the folder is shared by whoever adds or reads and exclusive for `collect`: nothing is garbage while it is
being added, and nobody's image goes while he reads it.
A lock on the file oci-layout is exclusive for whoever rewrites index.json. Both are flock(2), so they end with their
process. Must never make a reference visible before all that it names is on the disk.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from pyrunc.image import durable
from pyrunc.image.files import Folder, document, reading
from pyrunc.image.layout import FULL_NAME, REF_NAME, blob_path, content
from pyrunc.image.layoutsource import LayoutSource
from pyrunc.image.partial import Partial, find
from pyrunc.image.stream import verified
from pyrunc.specs.decode import decode
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import (
    INDEX,
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    Manifest,
    check_layout,
    decode_either,
    decode_index,
)
from pyrunc.specs.platform import Platform

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
LIMIT_DEPTH = 8


def default_folder() -> str:
    """Of root one for the machine; of everybody else one of his own."""
    if os.geteuid() == 0:
        return "/var/lib/pyrunc/images"
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local/share")
    return os.path.join(home, "pyrunc/images")


class Store:
    """The images of a folder by name; `""` is the usual one. Made when something is first put into it."""

    def __init__(self, path: str = "") -> None:
        self.path = path or default_folder()

    def source(self, name: str, wanted: Platform | None = None) -> LayoutSource:
        if not name.startswith("@"):
            self._need(name)
        return LayoutSource(Folder(self.path), name, wanted)

    def place(self, name: str) -> str:
        """The image NAME in the words of every tool that reads layouts."""
        self._need(name)
        if ":" in self.path:
            raise Failure(f"unpack {name}", detail=f"the path of the store, {self.path}, has a colon")
        return f"oci:{self.path}:{name}"

    def destination(self, name: str) -> LayoutDestination:
        return LayoutDestination(self.path, name, private=True)

    def exists(self) -> bool:
        try:
            os.stat(os.path.join(self.path, "index.json"))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise Failure(f"look into the store {self.path}", number=error.errno or 0) from error
        return True

    def entries(self) -> tuple[Descriptor, ...]:
        """What index.json names."""
        return _entries(self.path) if self.exists() else ()

    def tag(self, name: str, other: str) -> None:
        """NAME is also called OTHER."""
        with closing(self.source(name)) as source, closing(self.destination(other)) as target:
            target.finish(source.top()[0])

    def remove(self, name: str) -> None:
        """NAME means nothing any more; what it meant is garbage when nobody else names it."""
        self._need(name)
        with changing(self.path) as index:
            index["manifests"] = [entry for entry in index["manifests"] if _name(entry) != name]

    def _need(self, name: str) -> None:
        if name not in [entry.annotations.get(REF_NAME) for entry in self.entries()]:
            hint = f"`pyrunc image pull {name}` fetches it"
            raise Failure(f"find the image {name}", detail=f"it is not in the store {self.path}", hint=hint)

    def collect(self) -> tuple[int, int]:
        """Removes the blobs that no reference leads to, and what crashes left; how many files and bytes those were."""
        if not self.exists():
            return 0, 0
        with locked(self.path, fcntl.LOCK_EX):
            return _sweep(self.path, reachable(self.path))


class LayoutDestination:
    """A layout to put an image into, made where there is none."""

    parallel = 4
    distributes = False

    def __init__(self, path: str, name: str, private: bool = False, full: str = "") -> None:
        self.path = path
        self.name = name
        self.full = full  # what Docker and containerd call it, whose `name` is but its tag
        make(path, 0o700 if private else 0o755)
        self.lock = lock(path, fcntl.LOCK_SH)
        self.partials: dict[str, Partial] = {}

    def has(self, descriptor: Descriptor) -> bool:
        try:
            return os.stat(self._path(descriptor)).st_size == descriptor.size
        except OSError:
            return False

    def begun(self, descriptor: Descriptor) -> int:
        partial = find(self.path, descriptor)
        if partial is None:
            return 0
        self.partials[descriptor.digest] = partial
        return partial.start

    def put_blob(self, descriptor: Descriptor, pieces: Iterator[bytes]) -> None:
        path = self._path(descriptor)
        partial = self.partials.pop(descriptor.digest, None)
        if partial is not None:
            partial.complete(descriptor, pieces, path)
            return
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
            durable.sync(os.path.dirname(folder))
        checked = verified(pieces, descriptor.digest, descriptor.size, f"the blob {descriptor.digest}")
        # One of the wrong size is no blob, whoever put it there.
        durable.write(path, checked, replace=os.path.lexists(path) and not self.has(descriptor))

    def put_document(self, descriptor: Descriptor, data: bytes) -> None:
        self.put_blob(descriptor, iter([data]))

    def finish(self, descriptor: Descriptor) -> None:
        self._enter(descriptor, self.name)

    def add(self, descriptor: Descriptor) -> None:
        """Names DESCRIPTOR in index.json, under no name."""
        self._enter(descriptor, "")

    def _enter(self, descriptor: Descriptor, name: str) -> None:
        # The blobs' names before the reference, because whoever sees it may take them for there.
        top = os.path.join(self.path, "blobs")
        for algorithm in os.listdir(top):
            durable.sync(os.path.join(top, algorithm))
        entry: dict[str, Any] = {
            "mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size
        }  # fmt: skip
        if descriptor.artifact_type:
            entry["artifactType"] = descriptor.artifact_type
        if name:
            entry["annotations"] = {REF_NAME: name, **({FULL_NAME: self.full} if self.full else {})}
        with changing(self.path) as index:
            others = [old for old in index["manifests"] if not _replaces(old, name, entry["digest"])]
            index["manifests"] = [*others, entry]

    def close(self) -> None:
        while self.partials:
            self.partials.popitem()[1].close()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def _path(self, descriptor: Descriptor) -> str:
        return os.path.join(self.path, blob_path(descriptor))


def _replaces(old: Any, name: str, digest: str) -> bool:
    return _name(old) == name and (bool(name) or old.get("digest") == digest)


def make(path: str, mode: int = 0o755) -> None:
    """An empty layout, where there is none. oci-layout first, because it is what index.json is locked by."""
    try:
        for folder in (path, os.path.join(path, "blobs"), os.path.join(path, "blobs/sha256")):
            if not os.path.isdir(folder):
                os.makedirs(folder, mode if folder == path else 0o777, exist_ok=True)
                durable.sync(os.path.dirname(folder) or ".")
    except OSError as error:
        raise Failure(f"make the image layout {path}", number=error.errno or 0) from error
    header, index = os.path.join(path, "oci-layout"), os.path.join(path, "index.json")
    if not os.path.exists(header):
        durable.write(header, [LAYOUT])
    with reading("oci-layout"):
        check_layout(document(Folder(path), "oci-layout"))
    if not os.path.exists(index):
        durable.write(index, [encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})])
        durable.sync(path)


def lock(path: str, kind: int) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"lock {path}", number=error.errno or 0) from error
    fcntl.flock(fd, kind)
    return fd


@contextmanager
def locked(path: str, kind: int) -> Iterator[None]:
    fd = lock(path, kind)
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def changing(path: str) -> Iterator[dict[str, Any]]:
    """The members of index.json, unknown ones too, to be changed; written back unless the change fails."""
    with locked(os.path.join(path, "oci-layout"), fcntl.LOCK_EX):
        data = document(Folder(path), "index.json")
        with reading("index.json"):
            decode_index(data)
        index = decode(data)
        yield index
        durable.write(os.path.join(path, "index.json"), [encode(index)], replace=True)
        durable.sync(path)


def encode(value: object) -> bytes:
    """A document as it is kept. Arguments can be any bytes, documents cannot."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"{error.object[max(error.start - 20, 0) : error.end]!r} is not UTF-8") from None


def _name(entry: Any) -> str:
    return str((entry.get("annotations") or {}).get(REF_NAME, ""))


def _entries(path: str) -> tuple[Descriptor, ...]:
    with reading("index.json"):
        return decode_index(document(Folder(path), "index.json")).manifests


def reachable(path: str) -> set[str]:
    """The digests of all that index.json leads to."""
    return {descriptor.digest for descriptor, _ in _walk(path)}


def manifests(path: str) -> list[Manifest]:
    """Those of all images that index.json leads to."""
    return [value for _, value in _walk(path) if isinstance(value, Manifest)]


def _walk(path: str) -> Iterator[tuple[Descriptor, Index | Manifest | None]]:
    """All that index.json leads to, once each, with what it says where it is an index or a manifest that is there."""
    files, seen = Folder(path), set[str]()
    left = [(entry, 0) for entry in _entries(path)]
    while left:
        descriptor, depth = left.pop()
        if descriptor.digest in seen:
            continue
        if depth > LIMIT_DEPTH:
            raise Invalid(f"image indexes are nested more than {LIMIT_DEPTH} deep")
        seen.add(descriptor.digest)
        value = None
        if descriptor.media_type in INDEX_TYPES + MANIFEST_TYPES:
            try:
                value = decode_either(content(files, descriptor), descriptor.media_type)
            except FileNotFoundError:
                pass  # a layout may name what it does not have
        yield descriptor, value
        left += [(part, depth + 1) for part in (parts(value) if value else ())]


def parts(value: Index | Manifest) -> tuple[Descriptor, ...]:
    """What an index or a manifest names."""
    if isinstance(value, Index):
        return value.manifests
    return (value.config, *value.layers)


def _sweep(path: str, keep: set[str]) -> tuple[int, int]:
    count = size = 0
    try:
        garbage = {path: _files(path, lambda name: name.startswith(durable.LEFTOVER))}
        for algorithm in os.listdir(os.path.join(path, "blobs")):
            folder = os.path.join(path, "blobs", algorithm)
            garbage[folder] = _files(folder, lambda name, prefix=algorithm: f"{prefix}:{name}" not in keep)  # type: ignore[misc]
        for folder, files in garbage.items():
            count, size = count + len(files), size + sum(files.values())
            durable.remove(folder, list(files))
    except OSError as error:
        raise Failure(f"collect the garbage of {path}", number=error.errno or 0) from error
    return count, size


def _files(folder: str, chosen: Callable[[str], bool]) -> dict[str, int]:
    """The names that are CHOSEN, with their sizes."""
    with os.scandir(folder) as found:
        files = [file for file in found if chosen(file.name) and not file.is_dir(follow_symlinks=False)]
        return {file.name: file.stat(follow_symlinks=False).st_size for file in files}
