"""CVE-2025-4517: a path that is longer than PATH_MAX once its links are resolved was checked only up to there."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, file, header, long, symlink

GUARD = (
    (
        "sandbox/files.py",
        "    return _checked(lib.path_open(root, _text(path), flags), path)\n",
        "    return os.open(path, flags, dir_fd=root)\n",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    members, path, letters = [], b"", b"abcdefghijklmnop"
    for number in range(len(letters)):
        members.append(long(path + b"d" * 247) + header(b"d", b"5", mode=0o755))
        members.append(long(path + letters[number : number + 1]) + long(b"d" * 247, b"K") + symlink(b"s", b"d"))
        path += b"d" * 247 + b"/"
    chain = b"/".join(letters[number : number + 1] for number in range(len(letters))) + b"/" + b"l" * 254
    members.append(long(chain) + symlink(b"s", b"../" * len(letters)))
    members.append(long(chain + b"/../outside", b"K") + symlink(b"escape", b"x"))
    refused = ground.apply(archive(*members, file(b"escape/secret", b"evil")))
    return ground.harm() or (f"not tried: {refused}" if not (ground.root / "outside").exists() and not refused else "")


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """However long a path gets, it stays inside."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the path layer the same image gets through."""
    assert "content of outside/secret is evil" in without(GUARD, __name__, tmp_path)
