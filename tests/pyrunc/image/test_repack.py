"""A bundle, changed, becomes an image that unpacks to the same; by umoci too, and of umoci's bundles."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pyrunc.image import unpack
from pyrunc.image.making import Said
from pyrunc.image.repack import repack
from pyrunc.specs.errors import Invalid, PyruncError
from tests.pyrunc.command import Pyrunc
from tests.pyrunc.image.images import Layout, config_of
from tests.pyrunc.image.tars import archive, file, folder, hardlink, symlink
from tests.pyrunc.image.test_same_as_others import differences, need, run

BASE = archive(
    folder(b"./"), folder(b"etc"), file(b"etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
    file(b"etc/shadow", b"s", mode=0o600), folder(b"usr"),
    file(b"usr/tool", b"#!/bin/sh\n", mode=0o4755), hardlink(b"usr/other", b"usr/tool"),
    symlink(b"link", b"etc/passwd"), folder(b"data"), file(b"data/1", b"1"), file(b"data/2", b"2", uid=7, gid=8),
    folder(b"vol"),
)  # fmt: skip


@pytest.fixture
def base(layout: Layout) -> str:
    config = config_of(BASE, config={"Volumes": {"/vol": {}}, "Env": ["A=b"]}, unknown={"kept": True})
    layout.image(BASE, name="base", config=config)
    return f"oci:{layout.write()}:base"


@pytest.fixture
def box(base: str, bundle: Path) -> Path:
    unpack(base, str(bundle))
    return bundle


def change(box: Path) -> None:
    """Something of everything, in whole seconds, as layers have them."""
    top = box / "rootfs"
    (top / "etc/new").write_text("new")
    (top / "etc/passwd").write_text("changed")
    os.chown(top / "etc/new", 1000, 2000)
    os.setxattr(top / "etc/new", "user.note", b"\0\xff")
    (top / "etc" / ("n" * 150)).write_text("long")
    os.link(top / "usr/tool", top / "usr/third")
    (top / "link").unlink()
    (top / "link").symlink_to("/" + "t/" * 100)
    shutil.rmtree(top / "data")
    (top / "data").mkdir()
    (top / "data/3").write_bytes(bytes(100_000))
    os.chmod(top / "data/3", 0o2755)
    os.mknod(top / "null", 0o20666, os.makedev(1, 3))
    os.mkfifo(top / "fifo")
    (top / "gr\u00fc\u00dfe").mkdir(mode=0o711)
    for above, _, names in os.walk(top, topdown=False):
        for path in [*(os.path.join(above, name) for name in names), above]:
            if not path.endswith("/vol"):  # volumes are left out
                os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)


def document(image: str, kind: str = "config") -> dict[str, Any]:
    _, path, name = image.split(":")
    index = json.loads(Path(path, "index.json").read_text())
    names = [entry for entry in index["manifests"] if entry["annotations"]["org.opencontainers.image.ref.name"] == name]
    [entry] = names
    manifest: dict[str, Any] = json.loads(Path(path, "blobs", *entry["digest"].split(":")).read_text())
    if kind == "manifest":
        return {**manifest, "digest": entry["digest"]}
    config: dict[str, Any] = json.loads(Path(path, "blobs", *manifest["config"]["digest"].split(":")).read_text())
    return config


def named(base: str, name: str) -> str:
    return f"{base.rpartition(':')[0]}:{name}"


def umoci(image: str) -> str:
    return image.removeprefix("oci:")


@pytest.mark.parametrize("compress", ["auto", "gzip", "zstd", "none"])
def test_round_trip(box: Path, base: str, tmp_path: Path, compress: str) -> None:
    """What is repacked unpacks to the same root file system; the image below stays as it was, with one layer more."""
    change(box)
    target = named(base, "new")
    repack(str(box), target, compress=compress)
    unpack(target, str(tmp_path / "again"))

    assert differences(tmp_path / "again/rootfs", box / "rootfs") == []
    old, new = document(base), document(target)
    assert new["rootfs"]["diff_ids"][:-1] == old["rootfs"]["diff_ids"]
    assert (new["config"], new["unknown"]) == (old["config"], old["unknown"])
    assert new["history"][-1]["created_by"] == "pyrunc image repack"
    layers = document(target, "manifest")["layers"]
    assert layers[:-1] == document(base, "manifest")["layers"]
    assert layers[-1]["mediaType"].endswith({"auto": "+gzip", "none": ".tar"}.get(compress, "+" + compress))


def test_unpacked_by_umoci(box: Path, base: str, tmp_path: Path) -> None:
    """umoci makes the same root file system of our image."""
    need("umoci")
    change(box)
    repack(str(box), named(base, "new"))
    run("umoci", "unpack", "--image", umoci(named(base, "new")), tmp_path / "theirs")

    assert differences(tmp_path / "theirs/rootfs", box / "rootfs") == []


def test_repacked_by_umoci(base: str, tmp_path: Path) -> None:
    """We make the same root file system of what umoci repacks as of what we do."""
    need("umoci")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    run("umoci", "unpack", "--image", umoci(base), theirs)
    change(theirs)
    run("umoci", "repack", "--image", umoci(named(base, "theirs")), theirs)
    unpack(named(base, "theirs"), str(ours))

    assert differences(ours / "rootfs", theirs / "rootfs") == []


def test_bundle_of_umoci(base: str, tmp_path: Path) -> None:
    """A bundle that umoci has made is repacked given its image: only what has changed is in the layer."""
    need("umoci")
    theirs = tmp_path / "theirs"
    run("umoci", "unpack", "--image", umoci(base), theirs)
    with pytest.raises(Invalid, match="unpacked by another tool"):
        repack(str(theirs), named(base, "new"))
    (theirs / "rootfs/etc/new").write_text("x")
    _, changes = repack(str(theirs), named(base, "new"), base=base)

    assert changes.written() == {b"etc/new"}


def test_nothing_changed(box: Path, base: str) -> None:
    """An unchanged bundle is the image that it came from, under another name too."""
    descriptor, changes = repack(str(box), named(base, "same"))

    assert not changes
    assert (
        descriptor.digest == document(base, "manifest")["digest"] == document(named(base, "same"), "manifest")["digest"]
    )


def test_copied_bundle(box: Path, base: str, tmp_path: Path) -> None:
    """A copy of a bundle, with other inodes, has changed only where its contents have."""
    run("cp", "-a", box, tmp_path / "copy")
    info = (tmp_path / "copy/rootfs/data/1").stat()
    (tmp_path / "copy/rootfs/data/1").write_text("x")
    os.utime(tmp_path / "copy/rootfs/data/1", ns=(info.st_atime_ns, info.st_mtime_ns))
    _, changes = repack(str(tmp_path / "copy"), named(base, "new"))

    assert changes.written() == {b"data/1"}


def test_same_again(box: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SOURCE_DATE_EPOCH the same change is the same image, down to the digest."""
    change(box)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    first, _ = repack(str(box), named(base, "first"))
    second, _ = repack(str(box), named(base, "second"))

    assert first.digest == second.digest
    assert document(named(base, "first"))["created"] == "2017-07-14T02:40:00Z"


@pytest.mark.parametrize("value", ["x", "-1", "1" * 12])
def test_bad_epoch(box: Path, base: str, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A SOURCE_DATE_EPOCH that is no time is an error, and makes no image."""
    (box / "rootfs/new").write_text("x")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    with pytest.raises(PyruncError, match="SOURCE_DATE_EPOCH"):
        repack(str(box), named(base, "new"))


def test_masks(box: Path, base: str) -> None:
    """Volumes of the image are left out unless told otherwise, and so are the masks."""
    (box / "rootfs/vol/x").write_text("x")
    (box / "rootfs/data/x").write_text("x")

    assert repack(str(box), named(base, "1"), masks=("/data",))[1].written() == set()
    assert repack(str(box), named(base, "2"))[1].written() == {b"data", b"data/x"}
    assert b"vol/x" in repack(str(box), named(base, "3"), mask_volumes=False)[1].written()


def test_history(box: Path, base: str) -> None:
    """The history says what it is told, or nothing."""
    (box / "rootfs/new").write_text("x")
    said = {"author": "me", "comment": "why", "created": "2020-01-01T00:00:00Z", "created_by": "how"}
    repack(str(box), named(base, "1"), said=Said(**said))
    repack(str(box), named(base, "2"), said=Said(kept=False))

    assert document(named(base, "1"))["history"] == [said]
    assert "history" not in document(named(base, "2"))


def test_refresh(box: Path, base: str) -> None:
    """A refreshed bundle starts from the new image: two repacks, two layers."""
    (box / "rootfs/new").write_text("x")
    repack(str(box), named(base, "1"), refresh=True)
    (box / "rootfs/newer").write_text("x")
    _, changes = repack(str(box), named(base, "2"))

    assert changes.added == {b"newer"}
    assert len(document(named(base, "2"))["rootfs"]["diff_ids"]) == 3


def test_base_moved_on(box: Path, base: str) -> None:
    """When the name means another image by now, that is what the bundle is compared with."""
    (box / "rootfs/new").write_text("x")
    repack(str(box), base)
    (box / "rootfs/newer").write_text("x")
    _, changes = repack(str(box), named(base, "2"))

    assert changes.written() == {b"newer"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "files": []}'])
def test_damaged_note(box: Path, base: str, text: str) -> None:
    """What is noted beside a bundle may be damaged: one clear error."""
    (box / "pyrunc.image.json").write_text(text)
    with pytest.raises(Invalid, match=r"pyrunc\.image\.json"):
        repack(str(box), named(base, "new"))


def test_command(box: Path, base: str, pyrunc: Pyrunc) -> None:
    """`pyrunc image repack` prints the digest of the new image."""
    (box / "rootfs/new").write_text("x")
    done = pyrunc("image", "repack", "--history.author", "me", str(box), named(base, "new"))

    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == document(named(base, "new"), "manifest")["digest"]
    assert document(named(base, "new"))["history"][0]["author"] == "me"
