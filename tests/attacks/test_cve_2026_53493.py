"""CVE-2026-53493: indexes within indexes without end kept whoever looked for a manifest busy."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import from_layout, without
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file

GUARD = (("pyrunc/image/copy.py", "    for _ in range(LIMIT_DEPTH):\n", "    for _ in range(LIMIT_DEPTH * 1000):\n"),)


def attack(work: Path) -> str:
    layout = Layout(work / "layout")
    entry = layout.image(archive(file(b"f")), listed=False)
    for _ in range(100):
        entry = layout.index(entry)
    layout.manifests.append(entry)
    _, refused = from_layout(work, layout)
    return "" if refused else "a hundred indexes were followed"


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """Indexes nest to a fixed depth."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the limit the same image gets through."""
    assert "a hundred indexes were followed" in without(GUARD, __name__, tmp_path)
