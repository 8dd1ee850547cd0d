"""CVE-2026-47262: an image's passwd of any size was read into memory."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import document, unpacked, without
from tests.pyrunc.image.tars import archive, file, folder

GUARD = (
    ("pyrunc/image/users.py", "file.read(LIMIT_FILE + 1)", "file.read()"),
    ("pyrunc/image/users.py", "    if len(data) > LIMIT_FILE:\n", "    if not data and LIMIT_FILE:\n"),
)


def attack(work: Path) -> str:
    passwd = file(b"etc/passwd", b"#" * (9 << 20) + b"\nme:x:7:7::/:/bin/sh\n")
    bundle, refused = unpacked(work, archive(folder(b"etc"), passwd), User="me")
    return "" if refused else f"read all {len(passwd) >> 20} MB: user {document(bundle)['process']['user']['uid']}"


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A passwd beyond the limit is refused."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the limit the same image gets through."""
    assert "read all 9 MB: user 7" in without(GUARD, __name__, tmp_path)
