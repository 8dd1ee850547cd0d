"""Archives of `docker save` as a Source: the manifest that they lack is made of what is in them. Must never write.

A layer's digest is its diff_id when it is not compressed, and computed otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pyrunc.image.docker import find
from pyrunc.image.files import Archive, document, reading
from pyrunc.image.stream import PIECE, compression, read
from pyrunc.image.transport import describe
from pyrunc.specs.decode import Node, decode
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import DOCKER_CONFIG, DOCKER_MANIFEST, Descriptor, decode_image_config, digest_of

LAYER = "application/vnd.docker.image.rootfs.diff.tar"
TYPES = {"": LAYER, "gzip": f"{LAYER}.gzip", "zstd": f"{LAYER}.zstd"}


class DockerSource:
    parallel = 1  # one handle reads the archive

    def __init__(self, path: str, reference: str) -> None:
        self.path = path
        self.files = Archive(path)
        self.names: dict[str, str] = {}
        try:
            self.manifest = self._manifest(reference)
        except FileNotFoundError as error:
            self.files.close()
            raise Failure(f"read {path}", number=error.errno or 2, detail=f"{error} is not in it") from None
        except BaseException:
            self.files.close()
            raise

    def _manifest(self, reference: str) -> bytes:
        data = document(self.files, "manifest.json")
        with reading("manifest.json"):
            items = decode(data)
            if not isinstance(items, list):
                raise Invalid("expected an array")
            chosen = find([Node(item, f"[{index}]") for index, item in enumerate(items)], reference)
            name = chosen.required_text("Config")
        config = document(self.files, name)
        with reading(name):
            ids = decode_image_config(config).diff_ids
        layers = chosen.texts("Layers")
        if len(layers) != len(ids):
            message = f"manifest.json has {len(layers)} layers, the config {len(ids)}"
            raise Invalid(message, chosen.at("Layers"))
        self.names[digest_of(config)] = name
        described = {"mediaType": DOCKER_CONFIG, "digest": digest_of(config), "size": len(config)}
        pairs = zip(layers, ids, strict=True)
        value = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": described,
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
