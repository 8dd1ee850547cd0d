"""An image that is being changed: its documents as they were read, to be altered, and the layers that are new.

It is a Source like any other, so `copy` brings it wherever images can be. Members that nobody here knows stay as they
are; layers that were there are never read. Must never write anything but its own temporary files.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import IO, Any

from pyrunc.image.access import Access
from pyrunc.image.copy import choose, copy
from pyrunc.image.files import reading
from pyrunc.image.reference import parse_place
from pyrunc.image.store import encode
from pyrunc.image.tarwrite import COMPRESSIONS, compressed
from pyrunc.image.transport import Source, describe, open_place, open_target
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.image import (
    CONFIG,
    CONFIG_TYPES,
    INDEX_TYPES,
    LAYER,
    LAYER_TYPES,
    MANIFEST,
    Descriptor,
    check_layers,
    decode_image_config,
    decode_manifest,
)
from pyrunc.specs.platform import parse_platform, proper_names

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER = "application/vnd.docker."
PIECE = 1 << 18


class Draft:
    parallel = 1

    def __init__(self, manifest: dict[str, Any], config: dict[str, Any], base: Source | None, original: bytes) -> None:
        self.manifest = manifest
        self.config = config
        self.base = base
        self.original = original  # the manifest as it was read
        self.index = ""  # the place of the index that it was chosen from, whose other images are not here
        self.before = encode(config), encode(manifest)
        self.made: dict[str, bytes | IO[bytes]] = {}

    # -- changing -----------------------------------------------------------------------------------------------------

    @property
    def diff_ids(self) -> list[str]:
        ids: list[str] = self.config["rootfs"]["diff_ids"]
        return ids

    @property
    def changed(self) -> bool:
        return (encode(self.config), encode(self.manifest)) != self.before

    def layers(self) -> list[tuple[Descriptor, str]]:
        """Every layer and its diff_id."""
        layers = decode_manifest(encode(self.manifest)).layers
        return list(zip(layers, self.diff_ids, strict=True))

    def compression(self, wanted: str) -> str:
        """WANTED, or that of the uppermost layer for `auto`."""
        if wanted == "auto":
            layers = self.manifest["layers"]
            return (LAYER_TYPES[layers[-1]["mediaType"]] or "none") if layers else "gzip"
        if wanted not in COMPRESSIONS:
            raise Invalid(f"{wanted!r} is no compression of layers", hint="auto, gzip, zstd or none")
        return wanted

    def add_layer(self, pieces: Iterable[bytes], compress: str = "auto") -> None:
        """Puts the archive of PIECES on top."""
        kind = self.compression(compress)
        plain, packed = hashlib.sha256(), hashlib.sha256()

        def hashed() -> Iterator[bytes]:
            for piece in pieces:
                plain.update(piece)
                yield piece

        try:
            file = tempfile.TemporaryFile()
            for piece in compressed(hashed(), kind):
                packed.update(piece)
                file.write(piece)
            file.flush()
        except OSError as error:
            raise Failure("write the new layer", number=error.errno or 0, hint="TMPDIR says where to") from error
        family = DOCKER_LAYER if self.manifest.get("mediaType", "").startswith(DOCKER) else LAYER
        suffix = {"none": "", "gzip": ".gzip" if family == DOCKER_LAYER else "+gzip"}.get(kind, f"+{kind}")
        if family == DOCKER_LAYER and kind == "zstd":
            suffix = ".zstd"
        digest = f"sha256:{packed.hexdigest()}"
        self.made[digest] = file
        self.manifest["layers"].append({"mediaType": family + suffix, "digest": digest, "size": file.tell()})
        self.diff_ids.append(f"sha256:{plain.hexdigest()}")

    def add_history(
        self, created_by: str, *, author: str = "", comment: str = "", created: str = "", layer: bool
    ) -> None:
        """Says what has been done, and when."""
        said = {"created": created or now(), "author": author, "created_by": created_by, "comment": comment}
        entry: dict[str, Any] = {key: value for key, value in said.items() if value}
        if not layer:
            entry["empty_layer"] = True
        history = self.config.get("history") or []
        self.config["history"] = [*history, entry]
        self.config["created"] = entry["created"]

    def save(self, target: str, *, store: str = "", access: Access | None = None) -> Descriptor:
        """Brings the image to TARGET."""
        place = parse_place(target)
        if self.index == str(place):
            raise Invalid(f"{target} is an image of several platforms, which it would be no longer", hint="--tag NAME")
        destination = open_target(place, store, access)
        try:
            return copy(self, destination, None, lambda state, descriptor, count: None)
        finally:
            destination.close()

    # -- a Source -----------------------------------------------------------------------------------------------------

    def top(self) -> tuple[Descriptor, bytes]:
        if not self.changed:
            return describe(self.manifest.get("mediaType") or MANIFEST, self.original), self.original
        config = encode(self.config)
        if config != self.before[0]:
            described = describe(self.manifest["config"]["mediaType"], config)
            kept = {key: value for key, value in self.manifest["config"].items() if key != "data"}
            self.manifest["config"] = {**kept, "digest": described.digest, "size": described.size}
            self.made[described.digest] = config
        data = encode(self.manifest)
        # What others would refuse is not handed out.
        check_layers(decode_manifest(data), decode_image_config(config))
        return describe(self.manifest.get("mediaType") or MANIFEST, data), data

    def document(self, descriptor: Descriptor) -> bytes:
        return b"".join(self.blob(descriptor))

    def blob(self, descriptor: Descriptor, start: int = 0) -> Iterator[bytes]:
        made = self.made.get(descriptor.digest)
        if isinstance(made, bytes):
            yield made[start:]
        elif made is not None:
            made.seek(start)
            while piece := made.read(PIECE):
                yield piece
        elif self.base is not None:
            yield from self.base.blob(descriptor, start)

    def close(self) -> None:
        for made in self.made.values():
            if not isinstance(made, bytes):
                made.close()
        if self.base is not None:
            self.base.close()


def open_draft(image: str, platform: str = "", *, store: str = "", access: Access | None = None) -> Draft:
    """IMAGE, to be changed; of several platforms this machine's, or PLATFORM."""
    wanted = parse_platform(platform or os.uname().machine)
    place = parse_place(image)
    base = open_place(place, store, access, wanted)
    try:
        descriptor, data = base.top()
        index = str(place) if descriptor.media_type in INDEX_TYPES else ""
        descriptor, data = choose(base, descriptor, data, wanted)
        with reading(f"manifest {descriptor.digest}"):
            manifest = decode_manifest(data, descriptor.media_type)
            if manifest.config.media_type not in CONFIG_TYPES:
                kind = manifest.config.media_type
                raise Invalid(f"{kind!r} is not the configuration of an image", "config.mediaType")
        config = base.document(manifest.config)
        with reading(f"config {manifest.config.digest}"):
            check_layers(manifest, decode_image_config(config))
        draft = Draft(json.loads(data), json.loads(config), base, data)
        draft.index = index
        return draft
    except BaseException:
        base.close()
        raise


def new_draft(platform: str = "") -> Draft:
    """An image of no layers."""
    system, architecture, variant = proper_names(parse_platform(platform or os.uname().machine))
    config: dict[str, Any] = {"created": now(), "architecture": architecture, "os": system}
    if variant:
        config["variant"] = variant
    config |= {"config": {}, "rootfs": {"type": "layers", "diff_ids": []}, "history": []}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG}, "layers": []}
    draft = Draft(manifest, config, None, b"")
    draft.before = b"", b""
    return draft


def epoch() -> int | None:
    """SOURCE_DATE_EPOCH: the time that everything is made at, so that it comes out the same again."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 11:
        raise Invalid(f"SOURCE_DATE_EPOCH is {text[:40]!r}, which is no number of seconds")
    return int(text)


def now() -> str:
    seconds = epoch()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if seconds is None else seconds))
