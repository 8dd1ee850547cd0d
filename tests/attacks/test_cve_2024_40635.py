"""CVE-2024-40635: a user number beyond 32 bits wrapped around to 0."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import document, unpacked, without
from tests.pyrunc.image.tars import archive, folder

GUARD = (
    (
        "pyrunc/image/users.py",
        "    if digits != text or len(text) > 10 or int(text) > LIMIT_ID:\n",
        "    if digits != text:\n",
    ),
)


def attack(work: Path) -> str:
    bundle, refused = unpacked(work, archive(folder(b"etc")), User="4294967296:4294967296")
    return "" if refused else f"user {document(bundle)['process']['user']['uid'] % 2**32} to the kernel"


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """No number that the kernel would take for another reaches config.json."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the range check the same image gets through."""
    assert "user 0 to the kernel" in without(GUARD, __name__, tmp_path)
