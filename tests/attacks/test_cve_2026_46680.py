"""CVE-2026-46680: a user number too large for an id was looked up as a name, to which passwd gave 0."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import document, unpacked, without
from tests.pyrunc.image.tars import archive, file, folder

GUARD = (
    (
        "pyrunc/image/users.py",
        '        raise Invalid(f"the {what} {text} is out of range", "config.User", hint=f"0 to {LIMIT_ID}")\n',
        "        return None\n",
    ),
)


def attack(work: Path) -> str:
    passwd = file(b"etc/passwd", b"4294967297:x:0:0::/:/bin/sh\n")
    bundle, refused = unpacked(work, archive(folder(b"etc"), passwd), User="4294967297")
    return "" if refused else f"user {document(bundle)['process']['user']['uid']}"


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A number out of range is refused, whatever the image's passwd calls by it."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the range check, a number that is looked up as a name, the same image gets through."""
    assert "user 0" in without(GUARD, __name__, tmp_path)
