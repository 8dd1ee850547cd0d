"""CVE-2021-32760: the mode of an unpacked link was set on what the link names, outside."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, symlink

GUARD = (
    (
        "pyrunc/image/apply.py",
        "        if entry.type != tarread.SYMLINK:\n            os.chmod",
        "        if entry.type:\n            os.chmod",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(archive(symlink(b"l", bytes(ground.secret))))
    return ground.harm()


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A link's mode is set on nothing."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the exception for links the same image gets through."""
    assert "mode of outside/secret is 0o100777" in without(GUARD, __name__, tmp_path)
