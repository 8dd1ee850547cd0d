"""Layers as EROFS images: they show what the same layers show as folders, and each is one file that stays the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pyrunc import images
from pyrunc.image import erofs
from pyrunc.specs.errors import Failure
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file
from tests.pyrunc.image.test_layers import STACKS, at_work, described, shown, stack


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where bundles and a store can be."""
    if shutil.which("mkfs.erofs") is None:
        pytest.skip("mkfs.erofs is not installed (package erofs-utils)")
    if "erofs" not in Path("/proc/filesystems").read_text():
        pytest.skip("the kernel has no EROFS")
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 12):
        pytest.skip("the kernel is older than Linux 6.12, which mounts images that are files")
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True).stdout.strip()
    if kind in ("tmpfs", "overlayfs"):
        pytest.skip(f"{tmp_path} is on {kind}: the kernel mounts no images on tmpfs, and stacks nothing on overlayfs")
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


def made(place: Path) -> list[Path]:
    return sorted((place / "layers").glob("sha256/*/layer.erofs"))


@pytest.mark.parametrize("case", STACKS)
def test_an_image_shows_what_the_folder_shows(layout: Layout, place: Path, case: str) -> None:
    """Files, owners, modes, times, attributes, and what is hidden."""
    box = stack(layout, place, *STACKS[case], erofs=True)
    assert len(made(place)) == 1 + len(STACKS[case])
    assert list((place / "layers").glob("sha256/*/diff")) == []

    images.unpack(f"oci:{layout.path}:box", str(place / "folders"), layers=True, store=str(place / "other"))
    with shown(place / "folders") as root:
        expected = described(root)
    with shown(box) as root:
        assert described(root) == expected
    with at_work(box) as root:
        assert described(root) == expected


def test_both_forms_in_one_stack(layout: Layout, place: Path) -> None:
    """A layer that is there in one form is not made in the other; what is made on top knows it all the same."""
    stack(layout, place, erofs=True)
    box = stack(layout, place, *STACKS["implied-deep"], name="more")
    assert len(made(place)) == 1
    assert len(list((place / "layers").glob("sha256/*/diff"))) == 2
    images.unpack(f"oci:{layout.path}:more", str(place / "flat"))
    with at_work(box) as root:
        assert described(root) == described(place / "flat/rootfs")


def test_repack_and_gc(layout: Layout, place: Path) -> None:
    """What is changed above images is told from them, and images that nothing needs go."""
    box = stack(layout, place, erofs=True)
    with at_work(box) as root:
        (root / "etc/a").write_text("changed")
        (root / "etc/b").unlink()
    assert images.diff(str(box)) == [("M", "/etc"), ("M", "/etc/a"), ("D", "/etc/b")]

    shutil.rmtree(box)
    size = made(place)[0].stat().st_size
    assert images.collect(store=str(place)) == (1, size)


def test_the_same_layer_makes_the_same_image(layout: Layout, place: Path) -> None:
    """Bit for bit, whenever and wherever it is made."""
    if "--mkfs-time" not in subprocess.run(["mkfs.erofs", "--help"], capture_output=True, text=True).stdout:
        pytest.skip("mkfs.erofs is older than 1.8, which writes the time into each image")
    stack(layout, place, STACKS["gone"][0], erofs=True)
    first = {path.parent.name: path.read_bytes() for path in made(place)}
    shutil.rmtree(place / "layers")
    stack(layout, place, STACKS["gone"][0], name="again", erofs=True)
    assert {path.parent.name: path.read_bytes() for path in made(place)} == first


def test_a_tool_that_fails(layout: Layout, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are the error, and no layer is left that is none."""
    tool = tmp_path / "mkfs.erofs"
    tool.write_text('#!/bin/sh\n[ "$1" = --help ] || { echo first; echo no such luck >&2; exit 1; }\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="no such luck"):
        stack(layout, place, erofs=True)
    assert list((place / "layers").glob("*")) == []

    tool.write_text('#!/bin/sh\nfor last; do :; done\n[ "$1" = --help ] || echo no image >"${last%/*}/layer.erofs"\n')
    with pytest.raises(Failure, match="type erofs"):
        stack(layout, place, erofs=True)
    assert list((place / "layers").glob("*")) == []

    tool.unlink()
    with pytest.raises(Failure, match="run mkfs.erofs") as caught:
        erofs.check()
    assert "erofs-utils" in str(caught.value.hint)


def test_large_ids_and_files(layout: Layout, place: Path) -> None:
    """Owners beyond 16 bits, and files of many blocks."""
    content = bytes(range(256)) * 5000
    box = stack(layout, place, archive(file(b"big", content, uid=2_000_000, gid=3_000_000)), erofs=True)
    with shown(box) as root:
        info = (root / "big").stat()
        assert (info.st_uid, info.st_gid, (root / "big").read_bytes()) == (2_000_000, 3_000_000, content)
