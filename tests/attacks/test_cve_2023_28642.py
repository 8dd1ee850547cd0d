"""CVE-2023-28642: /proc or /sys of the image is a link into a volume, whose owner then sees and moves what is
mounted there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded


def attack(box: Box, name: str, volume: Path) -> Result:
    """The volume is mounted first; the link leads into it."""
    (volume / "inner").mkdir()
    (box.rootfs / name).rmdir()
    (box.rootfs / name).symlink_to("/volume/inner")
    (box.rootfs / "volume").mkdir()
    box.bind(volume, "/volume")
    box.config["mounts"].insert(0, box.config["mounts"].pop())
    return box.sh("mount").run()


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_attack_fails(bundle: Bundle, outside: Path, name: str) -> None:
    """A link is refused before anything is mounted through it."""
    result = attack(bundle(), name, outside)

    assert not result.ok
    assert "must be mounted on ordinary directory" in result.err


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_guard_is_what_stops_it(bundle: Bundle, outside: Path, unguarded: Unguarded, name: str) -> None:
    """Followed, it has the kernel's file system lie in the volume."""
    result = attack(unguarded(bundle()), name, outside)

    assert " on /volume/inner type " in result.out or "applet not found" in result.err or "no such file" in result.err
