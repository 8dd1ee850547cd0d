"""CVE-2023-25153: documents of an image were read into memory whatever their size."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.image_guard import from_layout, without
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file

GUARD = (
    ("pyrunc/image/files.py", "        if size > LIMIT_DOCUMENT:\n", "        if size < 0:\n"),
    ("pyrunc/image/files.py", "file.read(LIMIT_DOCUMENT + 1)", "file.read()"),
)


def attack(work: Path) -> str:
    layout = Layout(work / "layout")
    layout.image(archive(file(b"f")))
    path = layout.write() / "index.json"
    layout.write = lambda: path.parent  # type: ignore[method-assign]  # as it is now
    path.write_text(path.read_text() + " " * (9 << 20))
    _, refused = from_layout(work, layout)
    return "" if refused else "an index of 9 MB was read"


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """A document beyond the limit is refused by its size."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the limit the same image gets through."""
    assert "an index of 9 MB was read" in without(GUARD, __name__, tmp_path)
