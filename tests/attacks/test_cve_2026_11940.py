"""CVE-2026-11940: a hard link to a symbolic link became a second name of the file outside."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, hardlink, symlink

GUARD = (("pyrunc/image/apply.py", "dst_dir_fd=folder.fd, follow_symlinks=False)", "dst_dir_fd=folder.fd)"),)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(archive(symlink(b"l", bytes(ground.secret)), hardlink(b"h", b"l")))
    return ground.harm()


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A hard link to a link is a second name of the link."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without that the same image gets through."""
    assert "names of outside/secret is 2" in without(GUARD, __name__, tmp_path)
