"""Where further processes of a container go."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrunc.sandbox.cgroup import place
from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout, Unified


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The container's cgroup in a hierarchy at tmp_path, whose init has moved itself below it."""
    folder = tmp_path / "box"
    (folder / "inner").mkdir(parents=True)
    (folder / "cgroup.procs").touch()
    (folder / "cgroup.subtree_control").write_text("\n")
    texts = {"/proc/7/cgroup": "3:memory:/box/inner\n0::/box/inner"}
    real = place.read
    monkeypatch.setattr(place, "read", lambda path: texts.get(path) or real(path))
    return folder


def unified(box: Path) -> Layout:
    return Layout((), Unified(("memory",), str(box.parent), "/", enabled=("memory",)))


def memory(box: Path) -> Layout:
    return Layout((Hierarchy(("memory",), str(box.parent), "/"),), None)


def test_own(box: Path) -> None:
    """The container's cgroup, though its init has left it."""
    assert place.exec_folders(7, unified(box), [str(box)], False) == (str(box), [])
    assert place.exec_folders(7, memory(box), [str(box)], False) == ("", [str(box)])


def test_full(box: Path) -> None:
    """Not one that hands down controllers, for it takes no process; unless no other was asked for."""
    (box / "cgroup.subtree_control").write_text("memory\n")

    assert place.exec_folders(7, unified(box), [str(box)], False) == (f"{box}/inner", [])
    assert place.exec_folders(7, unified(box), [str(box)], True) == (str(box), [])


def test_moved_away(box: Path) -> None:
    """Init's, when the container's has gone or lies elsewhere."""
    assert place.exec_folders(7, memory(box), ["/elsewhere/box"], False) == ("", [f"{box}/inner"])
    assert place.exec_folders(7, unified(box), ["/elsewhere/box"], False) == (f"{box}/inner", [])
    (box / "cgroup.procs").unlink()
    assert place.exec_folders(7, memory(box), [str(box)], False) == ("", [f"{box}/inner"])
