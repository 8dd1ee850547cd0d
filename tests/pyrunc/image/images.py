"""Builds images: OCI layouts, archives of them, archives of `docker save`. Shares no code with what is under test."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pyrunc.image import unpack
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.tars import archive, file, folder

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def config_of(*layers: bytes, **values: Any) -> dict[str, Any]:
    ids = [digest(layer) for layer in layers]
    return {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}, **values}


class Layout:
    """An OCI layout in a folder, to be filled blob by blob."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifests: list[dict[str, Any]] = []
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, media_type: str, algorithm: str = "sha256", **values: Any) -> dict[str, Any]:
        name = digest(data, algorithm)
        target = self.path / "blobs" / Path(*name.split(":"))
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)
        return {"mediaType": media_type, "digest": name, "size": len(data), **values}

    def document(self, value: object, media_type: str, **values: Any) -> dict[str, Any]:
        return self.blob(json.dumps(value).encode(), media_type, **values)

    def image(
        self,
        *layers: bytes,
        name: str = "",
        blobs: list[dict[str, Any]] | None = None,
        config: dict[str, Any] | None = None,
        listed: bool = True,
        **values: Any,
    ) -> dict[str, Any]:
        """An image of gzipped layers, or of BLOBS that unpack to LAYERS; the descriptor of its manifest."""
        if blobs is None:
            blobs = [self.blob(gzip.compress(layer, 1, mtime=0), LAYER + "+gzip") for layer in layers]
        described = self.document(config or config_of(*layers), CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": blobs}
        entry = self.document(manifest, MANIFEST, **values)
        if name:
            entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        if listed:
            self.manifests.append(entry)
        return entry

    def index(self, *entries: dict[str, Any], **values: Any) -> dict[str, Any]:
        return self.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}, INDEX, **values)

    def write(self) -> Path:
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.manifests}))
        return self.path

    def archive(self, path: Path, mode: str = "w") -> Path:
        self.write()
        with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
            tar.add(self.path, ".")
        return path


def docker_archive(
    path: Path, config: dict[str, Any], names: list[str], members: dict[str, bytes | str], tags: list[str] | None = None
) -> Path:
    """An archive as `docker save` writes it; a member that is a text is a symbolic link."""
    data = json.dumps(config).encode()
    config_name = digest(data).partition(":")[2] + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": names}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, content in {**members, config_name: data, "manifest.json": manifest}.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


LOWER = archive(
    folder(b"etc"), file(b"etc/passwd", b"me:x:5:6::/:/\n"), file(b"gone", b"x"), file(b"setuid", mode=0o4755)
)
UPPER = archive(file(b".wh.gone"), file(b"new", b"y"))
NAMES = {"etc", "etc/passwd", "setuid", "new"}


def tree(bundle: Path) -> set[str]:
    return {str(path.relative_to(bundle / "rootfs")) for path in (bundle / "rootfs").rglob("*")}


def refused(source: str | Path, bundle: Path, match: str, **values: Any) -> PyruncError:
    """Unpacking fails in one sentence, and nothing is left."""
    before = {path: path.lstat().st_mtime_ns for path in bundle.parent.rglob("*")}
    with pytest.raises(PyruncError, match=match) as caught:
        unpack(str(source), str(bundle), **values)
    assert "\n" not in str(caught.value)
    assert {path: path.lstat().st_mtime_ns for path in bundle.parent.rglob("*")} == before
    return caught.value
