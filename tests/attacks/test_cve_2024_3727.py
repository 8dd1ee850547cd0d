"""CVE-2024-3727: a digest that was never looked at became part of a path."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import from_layout, without
from tests.pyrunc.image.images import MANIFEST, Layout

GUARD = (("specs/image.py", "    if not DIGEST.fullmatch(digest):\n", "    if not digest:\n"),)


def attack(work: Path) -> str:
    (work / "secret").write_text("thirteen byte")
    layout = Layout(work / "layout")
    layout.manifests.append({"mediaType": MANIFEST, "digest": ".:../../secret", "size": 1})
    _, refused = from_layout(work, layout)
    return "a file outside the layout was read" if "13 bytes" in refused else ""


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A digest follows the grammar, which has no room for a path."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the grammar the same image gets through."""
    assert "a file outside the layout was read" in without(GUARD, __name__, tmp_path)
