"""CVE-2025-62518: one size for what is handed out, another for what is passed over, and entries hide in between."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import Ground, without
from tests.pyrunc.image.tars import archive, file, header, pax

GUARD = (
    (
        "pyrunc/image/tarread.py",
        '            entry.size = fields.unsigned(text, "size")\n',
        '            fields.unsigned(text, "size")\n',
    ),
)


def attack(work: Path) -> str:
    ground = Ground(work)
    inner = file(b"smuggled", b"evil")
    ground.apply(archive(pax((b"size", b"%d" % len(inner))) + header(b"outer", size=0) + inner))
    return "an entry came out of another's bytes" if (ground.root / "smuggled").exists() else ""


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """The size of the extended header counts, for both."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without it the same image gets through."""
    assert "an entry came out of another's bytes" in without(GUARD, __name__, tmp_path)
