"""Cgroups that a container has made below its own."""

from __future__ import annotations

import os
from pathlib import Path

from pyrunc.sandbox.cgroup.steps import below


def test_below_is_not_bounded_by_the_stack(tmp_path: Path) -> None:
    """Folders nested deeper than Python's recursion goes are all found, parents before children."""
    depth = 1500
    path = str(tmp_path)
    for _ in range(depth):
        path += "/a"
        os.mkdir(path)

    found = below(str(tmp_path))
    for folder in reversed(found):  # pytest's own way of cleaning up is one that recurses
        os.rmdir(folder)

    assert len(found) == depth
    assert found == sorted(found, key=len)


def test_below_passes_over_files_and_links(tmp_path: Path) -> None:
    """Only folders are cgroups; a link is not followed."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "folder").mkdir()

    assert below(str(tmp_path)) == [f"{tmp_path}/folder"]
    assert below(f"{tmp_path}/missing") == []
