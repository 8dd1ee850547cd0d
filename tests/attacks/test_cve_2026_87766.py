"""CVE-2026-87766: what is made for a mount, a device or the working folder follows a link above it out of the new
root."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.box import Box

from .conftest import Bundle, Unguarded

KINDS = ("device", "mount", "working folder")


def attack(box: Box, outside: Path, kind: str) -> list[str]:
    """What is made in the host's folder, to which `above` of the image is a link."""
    (box.rootfs / "above").symlink_to(outside)
    if kind == "device":
        box.linux["devices"] = [{"path": "/above/made", "type": "p"}]
    elif kind == "mount":
        box.bind(box.folder / "config.json", "/above/made")
    else:
        box.process["cwd"] = "/above/made"
    box.sh("true").run()
    return [path.name for path in outside.iterdir()]


@pytest.mark.parametrize("kind", KINDS)
def test_attack_fails(bundle: Bundle, outside: Path, kind: str) -> None:
    """The host's folder stays empty; the link is one of the new root's."""
    box = bundle()

    assert attack(box, outside, kind) == []
    assert (box.rootfs / str(outside).lstrip("/") / "made").exists()


@pytest.mark.parametrize("kind", KINDS[::2])
def test_guard_is_what_stops_it(bundle: Bundle, outside: Path, kind: str, unguarded: Unguarded) -> None:
    """Followed as the host would, it has them made there."""
    assert attack(unguarded(bundle()), outside, kind) == ["made"]
