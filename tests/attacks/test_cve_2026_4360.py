"""CVE-2026-4360: the target of a hard link passed by the checks that every name had to pass."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, hardlink, symlink

GUARD = (
    (
        "sandbox/files.py",
        "    return _checked(lib.path_open(root, _text(path), flags), path)\n",
        "    return os.open(path, flags, dir_fd=root)\n",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(archive(symlink(b"l", bytes(ground.outside)), hardlink(b"h", b"l/secret")))
    return ground.harm()


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """The target of a hard link is looked up inside the root."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the path layer the same image gets through."""
    assert "names of outside/secret is 2" in without(GUARD, __name__, tmp_path)
