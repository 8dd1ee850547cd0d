"""umoci 0.3.1: a bundle that others may enter holds setuid programs of any version for them."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import unpacked, without
from tests.pyrunc.image.tars import archive, file

GUARD = (("pyrunc/image/bundle.py", "        os.chmod(bundle, 0o700)\n", ""),)


def attack(work: Path) -> str:
    (work / "bundle").mkdir(mode=0o755)
    bundle, refused = unpacked(work, archive(file(b"su", mode=0o4755)))
    assert refused == "" and (bundle / "rootfs/su").stat().st_mode & 0o4000
    return "others may enter the bundle" if bundle.stat().st_mode & 0o77 else ""


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A bundle is its owner's alone, also where the folder was there before."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without that the same image gets through."""
    assert "others may enter the bundle" in without(GUARD, __name__, tmp_path)
