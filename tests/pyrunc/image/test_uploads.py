"""Blobs on their way to a registry: parts as large as it asks for, cancelled when the rest will not come."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyrunc import images
from pyrunc.image.registry.push import parts
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.registries import Faulty, reply


class Uploads:
    """Takes blobs and manifests, and remembers the sizes of parts; `least` is what it asks for, `lost` whether the
    answer to the end of an upload never comes."""

    def __init__(self, server: Faulty, least: int = 0, lost: bool = False) -> None:
        self.server, self.least, self.lost = server, least, lost
        self.sizes: list[int] = []
        self.cancelled = 0
        self.known: set[str] = set()

    def __call__(self, request: Any) -> bool:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        path, _, query = request.path.partition("?")
        if request.command == "POST":
            headers = {"OCI-Chunk-Min-Length": str(self.least)} if self.least else {}
            return reply(request, 202, Location="/v2/a/box/blobs/uploads/1?state=0", **headers)
        if request.command == "PATCH":
            self.sizes.append(len(body))
            return reply(request, 202, Location=f"/v2/a/box/blobs/uploads/1?state={len(self.sizes)}")
        if request.command == "DELETE":
            self.cancelled += 1
            return reply(request, 204)
        if request.command == "PUT" and "/uploads/" in path:
            name = query.partition("digest=")[2]
            if self.lost and name in self.known:
                return reply(request, 404)
            self.known.add(name)
            if self.lost and not body:
                request.close_connection = True
                return True
            return reply(request, 201)
        if request.command == "HEAD":
            return reply(request, 200 if path.rpartition("/")[2] in self.known else 404)
        return request.command == "PUT" and reply(request, 201)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    server = Faulty()
    yield server
    server.close()


def push(server: Faulty, folder: Path, data: bytes, damage: bool = False) -> None:
    made = Layout(folder / "source")
    blob = made.blob(data, "application/x")
    made.image(b"", blobs=[blob], name="box")
    if damage:
        (made.path / "blobs/sha256" / blob["digest"][7:]).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    images.copy(f"oci:{made.write()}:box", f"docker://{server.host}/a/box:1")


@pytest.mark.parametrize(("least", "size"), [(0, 8 << 20), (1000, 8 << 20), (9_000_000, 9_000_000)])
def test_parts(faulty: Faulty, tmp_path: Path, least: int, size: int) -> None:
    """All parts but the last are as large as the registry asks for at least, and of one size."""
    faulty.faults.append(uploads := Uploads(faulty, least))
    push(faulty, tmp_path, os.urandom(20_000_000))

    assert uploads.sizes == [size, size, 20_000_000 - 2 * size]


@pytest.mark.parametrize("size", [20_000_000, 2000])
def test_a_damaged_source(faulty: Faulty, tmp_path: Path, size: int) -> None:
    """What turns out to be wrong is not completed but cancelled, and no manifest is sent."""
    faulty.faults.append(uploads := Uploads(faulty))
    with pytest.raises(PyruncError, match="is not what its digest says"):
        push(faulty, tmp_path, os.urandom(size), damage=True)

    assert uploads.cancelled == 1
    assert not [path for method, path, _ in faulty.requests if "/manifests/" in path]


def test_the_last_answer_is_lost(faulty: Faulty, tmp_path: Path) -> None:
    """An upload that the registry does not know any more has ended well when it has the blob."""
    faulty.faults.append(uploads := Uploads(faulty, lost=True))
    push(faulty, tmp_path, os.urandom(10_000_000))

    assert uploads.cancelled == 0 and any("/manifests/1" in path for _, path, _ in faulty.requests)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [([], [0]), ([b""], [0]), ([b"abc"], [3]), ([b"ab", b"cd", b"ef"], [3, 3]), ([b"abcdefg"], [3, 3, 1])],
)
def test_pieces_become_parts(pieces: list[bytes], expected: list[int]) -> None:
    """However the pieces come, the parts are of one size; a blob of no bytes is one part."""
    assert [len(part) for part in parts(iter(pieces), 3)] == expected
