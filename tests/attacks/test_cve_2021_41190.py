"""CVE-2021-41190: a document that is an index to one reader and a manifest to another."""

from __future__ import annotations

import json
from pathlib import Path

from tests.attacks.image_guard import from_layout, without
from tests.pyrunc.image.images import INDEX, MANIFEST, Layout
from tests.pyrunc.image.tars import archive, file

GUARD = (("specs/image.py", "    for name in foreign:\n", "    for name in foreign[:0]:\n"),)


def attack(work: Path) -> str:
    layout = Layout(work / "layout")
    harmless, hostile = (layout.image(archive(file(name)), listed=False) for name in (b"harmless", b"hostile"))
    blob = layout.path / "blobs" / harmless["digest"].replace(":", "/")
    both = {**json.loads(blob.read_bytes()), "manifests": [hostile]}
    del both["mediaType"]
    layout.manifests.append(layout.document(both, MANIFEST))
    assert layout.document(both, INDEX)["digest"] == layout.manifests[0]["digest"]
    _, refused = from_layout(work, layout)
    return "" if refused else "a document of two meanings was unpacked"


def test_attack_fails(tmp_path: Path, root: None) -> None:
    """Such a document is refused."""
    assert attack(tmp_path) == ""


def test_guard_is_what_stops_it(tmp_path: Path, root: None) -> None:
    """Without the look at the other kind's members the same image gets through."""
    assert "a document of two meanings was unpacked" in without(GUARD, __name__, tmp_path)
