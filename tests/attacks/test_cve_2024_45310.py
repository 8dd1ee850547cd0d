"""CVE-2024-45310: while the folders and files for a mount are made, one on the way becomes a link to a folder of
the host's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.box import Box

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper, exchange


def attack(box: Box, stopper: Stopper, outside: Path, kind: str) -> list[str]:
    """What is made in the folder of the host's. The exchange happens when the walk has arrived in the folder
    `shared`."""
    (box.rootfs / "shared").mkdir()
    source = box.folder / "source"
    source.mkdir() if kind == "folder" else source.touch()
    box.bind(source, "/shared/new")
    swap = Stop("openat", exchange(box.rootfs / "shared", outside), text="shared")
    with stopper.stops(box.runtime, swap) as fds:
        box.sh("true").run(pass_fds=fds)
    return [path.name for path in outside.iterdir()]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_attack_fails(bundle: Bundle, stopper: Stopper, outside: Path, kind: str) -> None:
    """Nothing is made there: the walk holds the folder that it went into."""
    box = bundle()

    assert attack(box, stopper, outside, kind) == []
    assert (box.rootfs / "shared.moved/new").exists()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_guard_is_what_stops_it(
    bundle: Bundle, stopper: Stopper, outside: Path, kind: str, unguarded: Unguarded
) -> None:
    """Made by its path, the folder or file is the host's."""
    assert attack(unguarded(bundle()), stopper, outside, kind) == ["new"]
