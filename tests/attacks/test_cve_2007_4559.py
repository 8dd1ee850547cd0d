"""CVE-2007-4559: names with ".." in them left the folder that an archive was unpacked to."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, file, folder

GUARD = (("pyrunc/image/apply.py", '        if part == b"..":\n', '        if part == b"...":\n'),)


def attack(work: Path) -> str:
    ground = Ground(work)
    ground.apply(
        archive(
            folder(b"..", mode=0o777), file(b"../outside/secret", b"evil"), file(b"a/../../outside/secret", b"evil")
        )
    )
    return ground.harm()


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """ ".." ends at the root."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the cleaning of names the same image gets through."""
    assert "mode of . is 0o40777" in without(GUARD, __name__, tmp_path)
