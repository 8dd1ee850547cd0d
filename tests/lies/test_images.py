"""Every broken image is answered with one sentence, its own, and leaves no part of a bundle behind."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pyrunc.image.images import LOWER, Layout
from tests.pyrunc.image.tars import archive, file
from tests.pyrunc.image.test_broken_images import BROKEN
from tests.system.runtime import ENVIRONMENT, default_command

from . import images
from .answer import agrees, message_of
from .images import ImageLie

TABLES = (images.SOURCES, images.DOCKER, images.DOCUMENTS, images.LAYERS, images.STREAMS)
LIES = {lie.name: lie for table in TABLES for lie in table}
DIGEST = re.compile("sha256:(?!0{64})[0-9a-f]{64}")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """No temporary file: the machine's folder for those is one of ours, and empty afterwards."""
    (tmp_path / "tmp").mkdir()
    yield
    assert os.listdir(tmp_path / "tmp") == []


def unpack(tmp_path: Path, source: str, bundle: Path, *flags: str) -> str:
    """The one message with which the command refuses."""
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(
        [default_command(), "image", "unpack", *flags, source, str(bundle)],
        capture_output=True, text=True, errors="replace", timeout=20, env=environment,
    )  # fmt: skip
    return message_of(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("name", LIES)
def test_broken_image(layout: Layout, tmp_path: Path, name: str) -> None:
    """The sentence is the one of the table; where the bundle was to be there is nothing, nor beside it."""
    lie: ImageLie = LIES[name]
    (tmp_path / "place").mkdir()
    (tmp_path / "bundles").mkdir()
    source = str(lie.make(layout, tmp_path / "place"))

    message = unpack(tmp_path, source, tmp_path / "bundles" / "box", *lie.flags)

    message = message.replace(str(layout.path), "{layout}").replace(str(tmp_path / "place"), "{place}")
    assert agrees(DIGEST.sub("{digest}", message), lie.says), message
    assert os.listdir(tmp_path / "bundles") == []


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_what_python_refuses_the_command_refuses(layout: Layout, tmp_path: Path, case: str) -> None:
    """The broken images of the image tool's own tests, by way of the command: one record, nothing left."""
    change, reason = BROKEN[case]
    layout.image(LOWER)
    change(layout)
    if not (layout.path / "index.json").exists():
        layout.write()
    (tmp_path / "bundles").mkdir()

    message = unpack(tmp_path, f"oci:{layout.path}", tmp_path / "bundles" / "box")

    assert re.search(reason, message), message
    assert os.listdir(tmp_path / "bundles") == []


@pytest.fixture
def small(tmp_path: Path, machine: None) -> Iterator[Path]:
    """A disk of 256 kB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_full_disk(layout: Layout, tmp_path: Path, small: Path) -> None:
    """An image larger than the disk leaves the disk as it was."""
    layout.image(archive(file(b"small"), file(b"large", os.urandom(600 << 10))))

    message = unpack(tmp_path, f"oci:{layout.write()}", small / "box")

    assert DIGEST.sub("{digest}", message) == (
        "cannot unpack 'large' of layer {digest} (layers[0]): ENOSPC: no space left on device"
    )
    assert os.listdir(small) == []


def test_read_only_disk(layout: Layout, tmp_path: Path, small: Path) -> None:
    """A disk that cannot be written is named before anything is read."""
    layout.image(LOWER)
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)

    message = unpack(tmp_path, f"oci:{layout.write()}", small / "box")

    assert message == f"cannot make the bundle {small}/box: EROFS: read-only file system"


@pytest.mark.parametrize(
    ("bundle", "says"),
    [
        ("taken", "cannot make the bundle {place}/taken: it already has a rootfs"),
        ("file", "cannot make the bundle {place}/file: ENOTDIR: not a directory"),
        ("file/box", "cannot make the bundle {place}/file/box: ENOTDIR: not a directory"),
        ("nothing/box", "cannot make the bundle {place}/nothing/box: ENOENT: no such file or directory"),
        ("dangling", "cannot make the bundle {place}/dangling: ENOENT: no such file or directory"),
        ("loop", "cannot make the bundle {place}/loop: ELOOP: too many levels of symbolic links"),
    ],
)
def test_place_that_is_none(layout: Layout, tmp_path: Path, bundle: str, says: str) -> None:
    """What is in the way stays as it is, and is named."""
    place = tmp_path / "place"
    (place / "taken" / "rootfs").mkdir(parents=True)
    (place / "file").write_text("mine")
    (place / "dangling").symlink_to("nowhere")
    (place / "loop").symlink_to("loop")
    layout.image(LOWER)
    before = sorted(place.rglob("*"))

    assert unpack(tmp_path, f"oci:{layout.write()}", place / bundle) == says.format(place=place)
    assert sorted(place.rglob("*")) == before


def test_enough_lies() -> None:
    """No two lies of one name: each is told."""
    assert sum(len(table) for table in TABLES) == len(LIES) >= 40
