"""Archives of `docker save` as a Source: the manifest that they lack is made of what is in them. Must never write.

A layer's digest is its diff_id when it is not compressed, and computed otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pyrunc.image.docker import closed_on_error, saved
from pyrunc.image.files import Archive, document
from pyrunc.image.stream import PIECE, compression, read
from pyrunc.image.transport import describe
from pyrunc.specs.errors import Failure
from pyrunc.specs.image import DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor

LAYER = "application/vnd.docker.image.rootfs.diff.tar"
TYPES = {"": LAYER, "gzip": f"{LAYER}.gzip", "zstd": f"{LAYER}.zstd"}


class DockerSource:
    parallel = 1  # one handle reads the archive

    def __init__(self, path: str, reference: str) -> None:
        self.path = path
        self.files = Archive(path)
        self.names: dict[str, str] = {}
        with closed_on_error(self.files):
            self.manifest = self._manifest(reference)

    def _manifest(self, reference: str) -> bytes:
        found = saved(self.files, reference)
        config = describe(DOCKER_CONFIG, found.data)
        self.names[config.digest] = found.name
        pairs = zip(found.layers, found.config.diff_ids, strict=True)
        value = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": {"mediaType": DOCKER_CONFIG, "digest": config.digest, "size": config.size},
            "layers": [self._layer(layer, diff_id) for layer, diff_id in pairs],
        }
        return json.dumps(value, separators=(",", ":")).encode()

    def _layer(self, name: str, diff_id: str) -> dict[str, Any]:
        file, size = self.files.open(name)
        with file:
            kind = compression(file.read(16))
        digest = self._digest(name) if kind else diff_id
        self.names[digest] = name
        return {"mediaType": TYPES[kind], "digest": digest, "size": size}

    def _digest(self, name: str) -> str:
        state = hashlib.sha256()
        for piece in read(self.files.open(name)[0]):
            state.update(piece)
        return f"sha256:{state.hexdigest()}"

    def top(self) -> tuple[Descriptor, bytes]:
        return describe(DOCKER_MANIFEST, self.manifest), self.manifest

    def document(self, descriptor: Descriptor) -> bytes:
        data = document(self.files, self._name(descriptor))
        descriptor.verify(data)
        return data

    def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]:
        with self.files.open(self._name(descriptor))[0] as file:
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece

    def _name(self, descriptor: Descriptor) -> str:
        if descriptor.digest not in self.names:
            raise Failure(f"read {descriptor.digest}", detail=f"{self.path} does not have it")
        return self.names[descriptor.digest]

    def close(self) -> None:
        self.files.close()
