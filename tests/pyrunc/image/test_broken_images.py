"""Images that are not what they say leave one sentence and nothing else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyrunc.image import unpack
from pyrunc.specs.errors import Failure, Invalid
from tests.pyrunc.image.images import (
    LAYER,
    LOWER,
    MANIFEST,
    UPPER,
    Layout,
    config_of,
    digest,
    refused,
)
from tests.pyrunc.image.tars import archive, file, folder, symlink

if sys.version_info >= (3, 14):
    pass
else:
    pass

Break = Callable[[Layout], object]


def edit_index(**values: Any) -> Break:
    def edit(layout: Layout) -> None:
        layout.manifests[0].update(values)

    return edit


def rewrite(name: str, data: bytes) -> Break:
    def write(layout: Layout) -> None:
        layout.write()
        (layout.path / name).write_bytes(data)

    return write


def corrupt(kind: str) -> Break:
    """Changes one byte, cuts one off, or adds one, in the manifest's blob or the layer's."""

    def edit(layout: Layout) -> None:
        manifest = layout.path / "blobs" / Path(*layout.manifests[0]["digest"].split(":"))
        where, _, how = kind.partition(" ")
        name = json.loads(manifest.read_text())["layers"][0]["digest"] if where == "layer" else None
        blob = layout.path / "blobs" / Path(*name.split(":")) if name else manifest
        data = blob.read_bytes()
        change = {"byte": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "cut": data[:-1], "longer": data + b"\0"}
        blob.write_bytes(change[how]) if how in change else blob.unlink()

    return edit


def other_image(**values: Any) -> Break:
    def edit(layout: Layout) -> None:
        layout.manifests.clear()
        values_made = {key: value(layout) if callable(value) else value for key, value in values.items()}
        layout.image(LOWER, **values_made)

    return edit


def raw_manifest(**changes: Any) -> Break:
    def edit(layout: Layout) -> None:
        manifest = json.loads((layout.path / "blobs" / Path(*layout.manifests[0]["digest"].split(":"))).read_text())
        layout.manifests[:] = [layout.document({**manifest, **changes}, MANIFEST)]

    return edit


BROKEN: dict[str, tuple[Break, str]] = {
    "no oci-layout": (lambda layout: (layout.path / "oci-layout").unlink(), "oci-layout is not in it"),
    "other version": (rewrite("oci-layout", b'{"imageLayoutVersion": "2.0.0"}'), "2.0.0"),
    "no JSON": (rewrite("oci-layout", b"\xff"), "UTF-8"),
    "index is a folder": (lambda layout: (layout.path / "index.json").mkdir(), "."),
    "manifest changed": (corrupt("manifest byte"), "content is not sha256"),
    "manifest cut": (corrupt("manifest cut"), "bytes where"),
    "manifest missing": (corrupt("manifest missing"), "is not in it"),
    "layer changed": (corrupt("layer byte"), r"layer sha256:.*damaged"),
    "layer cut": (corrupt("layer cut"), r"layer sha256:"),
    "layer longer": (corrupt("layer longer"), r"layer sha256:.*larger than.*layers\[0\]"),
    "layer missing": (corrupt("layer missing"), r"cannot read the blob of layer sha256:.*ENOENT"),
    "size too small": (edit_index(size=5), "bytes where 5"),
    "size negative": (edit_index(size=-1), "size"),
    "size too large for a document": (edit_index(size=1 << 40), "document of more than"),
    "digest of an unknown kind": (edit_index(digest="md5:" + "0" * 32), "md5|not in it"),
    "digest that is a path": (edit_index(digest="sha256:../../../../etc/passwd"), "digest"),
    "digest too short": (edit_index(digest="sha256:00"), "digest"),
    "unknown kind of document": (edit_index(mediaType="text/plain"), "text/plain"),
    "schema 1": (edit_index(mediaType="application/vnd.docker.distribution.manifest.v1+json"), "manifest"),
    "manifest and index at once": (raw_manifest(manifests=[]), "index and a manifest at once"),
    "schema version 3": (raw_manifest(schemaVersion=3), "schema"),
    "config of another kind": (
        lambda layout: raw_manifest(
            config=layout.document({}, "application/vnd.oci.empty.v1+json"), artifactType="a/b"
        )(layout),
        "is not the configuration of an image",
    ),
    "diff_ids missing": (other_image(config=config_of()), "layers"),
    "diff_ids of another layer": (other_image(config=config_of(UPPER)), "unpacked layer is not what its digest says"),
    "rootfs of another type": (
        other_image(config={**config_of(LOWER), "rootfs": {"type": "x", "diff_ids": [digest(LOWER)]}}),
        "layers",
    ),
    "layer of an unknown kind": (
        other_image(blobs=lambda layout: [layout.blob(LOWER, "application/x-squashfs")]),
        "not a layer that can be unpacked",
    ),
    "encrypted layer": (other_image(blobs=lambda layout: [layout.blob(LOWER, LAYER + "+encrypted")]), "not a layer"),
    "layer that is no archive": (
        other_image(blobs=lambda layout: [layout.blob(b"x" * 1000, LAYER)], config=config_of(b"x" * 1000)),
        "checksum",
    ),
    "unknown user": (other_image(config=config_of(LOWER, config={"User": "nobody-there"})), "not in the image"),
    "user out of range": (other_image(config=config_of(LOWER, config={"User": "4294967296"})), "out of range"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_images_leave_nothing(layout: Layout, bundle: Path, case: str) -> None:
    """Each of these is refused for its own reason, and not a file is left."""
    change, reason = BROKEN[case]
    layout.image(LOWER)
    change(layout)
    if not (layout.path / "index.json").exists():
        layout.write()

    refused(f"oci:{layout.path}", bundle, reason)


def test_blobs_that_are_fifos_do_not_hang(layout: Layout, bundle: Path) -> None:
    """A layout may hold anything under a digest's name."""
    entry = layout.image(LOWER)
    blob = layout.path / "blobs" / Path(*entry["digest"].split(":"))
    blob.unlink()
    os.mkfifo(blob)

    refused(f"oci:{layout.write()}", bundle, "not a regular file")


def test_errors_name_layer_and_entry(layout: Layout, bundle: Path) -> None:
    """The sentence says which entry of which layer, and why."""
    bad = archive(file(b"etc/x"), file(b"etc/x/y"))
    layout.image(LOWER, bad)

    error = refused(f"oci:{layout.write()}", bundle, "ENOTDIR")

    assert isinstance(error, Failure)
    assert str(error).startswith("cannot unpack 'etc/x/y' of layer sha256:")
    assert error.pointer == "layers[1]"


def test_a_hostile_layer_leaves_nothing(layout: Layout, bundle: Path) -> None:
    """Not even trees that are hard to remove."""
    deep = b"/".join([b"d"] * 200)
    layout.image(archive(folder(deep, mode=0), symlink(b"l", b"/"), file(b"x", uid=-1)))

    assert isinstance(refused(f"oci:{layout.write()}", bundle, "out of range"), Invalid)


def test_an_interrupted_run_leaves_nothing(layout: Layout, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the last moment is as good as at the first."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    layout.image(LOWER)
    layout.write()
    monkeypatch.setattr("pyrunc.image.bundle.write_document", interrupt)
    with pytest.raises(KeyboardInterrupt):
        unpack(f"oci:{layout.path}", str(bundle))

    assert list(bundle.parent.iterdir()) == []
