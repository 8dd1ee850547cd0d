"""docs/conformance.md stays true: every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

REFERENCE = re.compile(r"`([a-z0-9_/]+):([a-z0-9_]+|\*)`")


def test_named_tests_exist(tree: Path) -> None:
    """Each reference of the document leads to a test, or to a file that has tests."""
    text = (tree / "docs/conformance.md").read_text()
    missing = []
    for place, name in REFERENCE.findall(text):
        folder, _, file = place.rpartition("/")
        path = tree / "tests" / folder / f"test_{file}.py"
        wanted = "def test_" if name == "*" else f"def test_{name}("
        if not path.is_file() or wanted not in path.read_text():
            missing.append(f"{place}:{name}")

    assert len(REFERENCE.findall(text)) > 100
    assert missing == []
