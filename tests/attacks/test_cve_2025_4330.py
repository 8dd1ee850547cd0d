"""CVE-2025-4330: links that stay inside by their letters lead out when they are followed one by one."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, file, folder, symlink

GUARD = (
    (
        "sandbox/files.py",
        "    return _checked(lib.path_open(root, _text(path), flags), path)\n",
        "    return os.open(path, flags, dir_fd=root)\n",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(
        archive(
            folder(b"d1/d2"),
            symlink(b"d1/d2/d3", b"."),
            symlink(b"q", b"d1/d2/d3/../../../outside"),
            file(b"q/secret", b"evil"),
        )
    )
    return ground.harm()


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """Links are resolved by the kernel inside the root, not by their letters."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the path layer the same image gets through."""
    assert "content of outside/secret is evil" in without(GUARD, __name__, tmp_path)
