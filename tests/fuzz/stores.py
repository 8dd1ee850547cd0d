"""Targets around the store: what others may have written into it, archives that were brought, compressed streams, what
registries answer. In the manner of targets.py."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pyrunc import images
from pyrunc.image.reference import parse_place
from pyrunc.image.registry.auth import challenges
from pyrunc.image.stream import compression, decompressed
from pyrunc.image.transport import open_place
from pyrunc.specs.errors import Invalid, PyruncError
from tests.pyrunc.image.checking import wrong_in
from tests.pyrunc.image.images import LAYER, LOWER, UPPER, Layout, config_of, docker_archive
from tests.pyrunc.image.tars import archive, file

LIMIT = 1 << 22  # bytes that a stream is read to


@contextmanager
def folder() -> Iterator[Path]:
    path = tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path)


def store(data: bytes) -> None:
    """An index.json of somebody else: every command on the store goes through or refuses it, and changes no blob."""
    with folder() as place:
        made = filled(place)
        (made.path / "index.json").write_bytes(data)
        path = str(made.path)
        for act in (
            lambda: images.listing(store=path),
            lambda: images.tag("box", "other", store=path),
            lambda: images.inspect("box", store=path),
            lambda: images.remove("box", store=path),
            lambda: images.collect(store=path),
        ):
            try:
                act()
            except PyruncError:
                pass
        try:
            json.loads((made.path / "index.json").read_bytes())
        except ValueError:
            assert (made.path / "index.json").read_bytes() == data, "a document was damaged by us"
        else:
            assert not [what for what in blobs_of(made.path) if what]


def filled(place: Path) -> Layout:
    """A store of two images and an index, the same every time."""
    made = Layout(place / "store")
    for layer, name in ((LOWER, "box"), (UPPER, "other")):
        platform = {"os": "linux", "architecture": "amd64"}
        made.image(layer, blobs=[made.blob(layer, LAYER)], name=f"docker.io/library/{name}:latest", platform=platform)
    made.manifests.append(made.index(*made.manifests))
    made.write()
    return made


def blobs_of(path: Path) -> list[str]:
    """What is wrong with the blobs alone."""
    (path / "index.json").write_text('{"manifests": []}')
    return wrong_in(path)


def archives(data: bytes) -> None:
    """Archives of layouts and of `docker save`: read to their end, or refused."""
    with folder() as place:
        (place / "archive").write_bytes(data)
        for text in ("oci-archive", "docker-archive"):
            try:
                with closing(open_place(parse_place(f"{text}:{place}/archive"))) as source:
                    descriptor, document = source.top()
                    assert descriptor.size == len(document)
                    source.document(descriptor)
            except PyruncError:
                pass


def stream(data: bytes) -> None:
    """A compressed stream: the same bytes, however it is cut into pieces. Only in a whole frame does libzstd look for
    the size that it declares, so one may be refused that in pieces is not."""
    kind = compression(data[:16])
    if kind:
        whole, pieces = unpacked(data, 1 << 20, kind), unpacked(data, 7, kind)
        assert whole == pieces or (kind == "zstd" and whole is None)


def unpacked(data: bytes, size: int, kind: str) -> bytes | None:
    out = b""
    try:
        for piece in decompressed(iter([data[at : at + size] for at in range(0, len(data), size)]), kind):
            out += piece
            if len(out) > LIMIT:
                return out[:LIMIT]
    except Invalid:
        return None
    return out


def challenge(data: bytes) -> None:
    """A WWW-Authenticate header: schemes and parameters, all of them texts of it."""
    header = data.decode("latin-1")
    for scheme, parameters in challenges(header).items():
        assert scheme in header.lower()
        assert all(name in header.lower() and len(value) <= len(header) for name, value in parameters.items())


def _archives() -> list[bytes]:
    with folder() as place:
        made = Layout(place / "layout")
        made.image(LOWER, UPPER, name="box")
        config = config_of(LOWER)
        saved = docker_archive(place / "saved.tar", config, ["a/layer.tar"], {"a/layer.tar": LOWER}, ["box:1"])
        linked = docker_archive(place / "linked.tar", config, ["b"], {"a": LOWER, "b": "a"}, None)
        plain = [path.read_bytes() for path in (made.archive(place / "oci.tar"), saved, linked)]
        return [*plain, *(gzip.compress(data, mtime=0) for data in plain)]


def _streams() -> list[bytes]:
    from backports import zstd

    plain = archive(file(b"a", b"text " * 300))
    packed = gzip.compress(plain, 6, mtime=0), zstd.compress(plain)
    return [*packed, packed[0] * 2, packed[1] * 2, packed[0] + bytes(600), b"\x50\x2a\x4d\x18\4\0\0\0skip" + packed[1]]


def _indexes() -> list[bytes]:
    with folder() as place:
        return [(filled(place).path / "index.json").read_bytes()]


CHALLENGES = (
    b'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    b'Basic realm="a \\"b\\""', b"Bearer realm=https://x/y, error=insufficient_scope, Basic realm=z",
)  # fmt: skip
STORES: dict[str, Callable[[bytes], None]] = {
    "store": store, "archives": archives, "stream": stream, "challenge": challenge,
}  # fmt: skip


def store_seeds(name: str) -> list[bytes]:
    """Good documents, archives, streams and headers."""
    kinds = {"store": _indexes, "archives": _archives, "stream": _streams}
    return kinds[name]() if name in kinds else list(CHALLENGES)
