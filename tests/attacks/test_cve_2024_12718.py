"""CVE-2024-12718: times and owners meant for a link were given to what it names, outside."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, symlink

GUARD = (
    (
        "pyrunc/image/apply.py",
        "        os.utime(name, ns=(entry.atime, entry.mtime), dir_fd=folder.fd, follow_symlinks=False)\n",
        "        os.utime(name, ns=(entry.atime, entry.mtime), dir_fd=folder.fd)\n",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(archive(symlink(b"l", bytes(ground.secret), mtime=1)))
    return ground.harm()


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """Times are set on the link itself."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without that the same image gets through."""
    assert "time of outside/secret is 1000000000" in without(GUARD, __name__, tmp_path)
