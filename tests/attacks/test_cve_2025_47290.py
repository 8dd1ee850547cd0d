"""CVE-2025-47290: a path that had been resolved once was believed after a link on it had been exchanged."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, file, folder, symlink

GUARD = (
    (
        "pyrunc/image/folders.py",
        "            self.close(but=parent)\n            remove(parent.fd, name)\n",
        "            remove(parent.fd, name)\n",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(
        archive(
            folder(b"d"), folder(b"e"), symlink(b"l", b"/d"), file(b"l/1"), symlink(b"l", b"/e"), file(b"l/2", b"evil")
        )
    )
    stale = ground.harm() or (ground.root / "d/2").exists()
    return "a file went where the link no longer leads" if stale else ""


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """Handles are dropped when a link or folder goes."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without that the same image gets through."""
    assert "a file went where the link no longer leads" in without(GUARD, __name__, tmp_path)
