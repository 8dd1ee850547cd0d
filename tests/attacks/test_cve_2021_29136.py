"""CVE-2021-29136: a link named "/." took the place of the root and led the next layers out."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, file, symlink

GUARD = (
    (
        "pyrunc/image/apply.py",
        "            if entry.type != tarread.FOLDER:\n",
        "            if entry.type == tarread.REGULAR:\n",
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    refused = ground.apply(archive(symlink(b"/.", bytes(ground.outside))), archive(file(b"secret", b"evil")))
    if refused and stat.S_IMODE(ground.root.stat().st_mode) == 0o755:
        return ground.harm()
    return ground.harm() or "the entry of a link was taken for the root's"


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """An entry for the root that is no folder is refused, and the root stays as it was."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the look at its type the same image gets through."""
    assert "the entry of a link was taken for the root's" in without(GUARD, __name__, tmp_path)
