"""CVE-2026-57231: a name without a value in an image's Env was given the host's value."""

from __future__ import annotations

import os
from pathlib import Path

from tests.attacks.image_guard import document, unpacked, without
from tests.pyrunc.image.tars import archive, file

GUARD = (
    (
        "specs/convert.py",
        "    return [*of_image, *(",
        "    import os\n\n"
        '    of_image = [e if "=" in e else f"{e}={os.environ.get(e)}" for e in of_image]\n    return [*of_image, *(',
    ),
)


def attack(work: Path) -> str:
    os.environ["SECRET_OF_THE_HOST"] = "swordfish"
    try:
        bundle, refused = unpacked(work, archive(file(b"f")), Env=["SECRET_OF_THE_HOST"])
    finally:
        del os.environ["SECRET_OF_THE_HOST"]
    return "the host's value is in config.json" if not refused and "swordfish" in str(document(bundle)) else ""


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """The image's variables stand as they are; the runtime then refuses one without a value."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without leaving them so the same image gets through."""
    assert "the host's value is in config.json" in without(GUARD, __name__, tmp_path)
