"""CVE-2026-53489: a log in a folder of images is a link to a file of the host. CRIU writes its logs and images with
root's rights, by the names that it finds there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.test_checkpoint import box as box
from tests.system.test_checkpoint import checkpoint, criu, restore  # noqa: F401


@pytest.fixture
def secret(outside: Path) -> Path:
    path = outside / "secret"
    path.write_text("untouched")
    return path


def test_log_of_a_restore(box: Box, secret: Path) -> None:
    """What stands under the log's name is taken away before CRIU opens it: nothing is written where it led."""
    box.up()
    assert checkpoint(box).ok
    (box.folder / "images/restore.log").symlink_to(secret)

    assert restore(box).ok

    assert secret.read_text() == "untouched"
    assert not (box.folder / "images/restore.log").is_symlink()


@pytest.mark.parametrize("name", ["dump.log", "descriptors.json", "pages-1.img", "core-1.img"])
@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_checkpoint(box: Box, secret: Path, name: str, make: Callable[[Path, Path], None]) -> None:
    """Neither is a checkpoint written through a link: it fails, and the container goes on; a log is made anew."""
    box.up()
    images = box.folder / "images"
    images.mkdir()
    make(secret, images / name)

    done = checkpoint(box, "--leave-running")

    assert secret.read_text() == "untouched"
    assert done.ok == (name == "dump.log")
    assert box.status == "running"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["fifo", "endless", "deep"])
def test_descriptors(box: Box, kind: str) -> None:
    """Images whose list of descriptors never ends, or never begins, are one error."""
    box.up()
    assert checkpoint(box).ok
    place = box.folder / "images/descriptors.json"
    place.unlink()
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "endless":
        place.symlink_to("/dev/zero")
    else:
        place.write_text("[" * 100_000)

    refused = restore(box)

    assert (refused.status, refused.err.count("level=error")) == (1, 1)


def test_descriptors_name_nothing_of_ours(box: Box, secret: Path) -> None:
    """The list says which of our streams take the place of pipes. It opens no file that it names."""
    box.up()
    assert checkpoint(box).ok
    (box.folder / "images/descriptors.json").write_text(json.dumps([str(secret), "pipe:[1]", "/dev/null"]))

    restore(box)

    assert secret.read_text() == "untouched"
    assert not any(os.path.realpath(path) == str(secret) for path in _descriptors(box))


def _descriptors(box: Box) -> list[str]:
    state = box.runtime("state", box.id)
    return [str(path) for path in Path(f"/proc/{box.pid}/fd").iterdir()] if state.ok else []
