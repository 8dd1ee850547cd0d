"""A root file system to put layers on, a layout to fill, a place for a bundle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunc.image.apply import Applier
from pyrunc.image.tarread import Reader
from pyrunc.sandbox.plain import Maker
from tests.pyrunc.image.images import Layout


class Rootfs:
    """An empty folder, and beside it a place that no layer may ever reach."""

    def __init__(self, base: Path) -> None:
        self.path = base / "box" / "rootfs"
        self.path.mkdir(parents=True)
        self.outside = base / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("untouched")
        self.before = self.look_outside()
        self.warnings: list[str] = []

    def apply(self, *layers: bytes, rootless: bool = False, handle: int | None = None) -> Rootfs:
        root = os.open(self.path, os.O_PATH | os.O_DIRECTORY) if handle is None else os.dup(handle)
        try:
            applier = Applier(root, rootless, self.warnings.append)
            for layer in layers:
                applier.layer(Reader(iter([layer] if layer else [])))
            applier.finish()
        finally:
            os.close(root)
        return self

    def look_outside(self) -> list[tuple[str, int, int, int, str]]:
        items = [self.outside, *sorted(self.outside.rglob("*"))]
        return [
            (
                str(item),
                (info := item.lstat()).st_mode,
                info.st_uid,
                info.st_mtime_ns,
                "" if item.is_dir() else item.read_text(),
            )
            for item in items
        ]

    def tree(self) -> set[str]:
        return {str(path.relative_to(self.path)) for path in self.path.rglob("*")}

    def stat(self, name: str) -> os.stat_result:
        return (self.path / name).lstat()

    def mode(self, name: str) -> int:
        return self.stat(name).st_mode & 0o7777

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


@pytest.fixture(params=["native", "python"])
def rootfs(
    tmp_path: Path, root: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rootfs]:
    """Twice: with the files that native code makes by itself, and without its help."""
    if request.param == "python":
        monkeypatch.setattr(Maker, "make", lambda *_: 0)
    made = Rootfs(tmp_path)
    fds = set(os.listdir("/proc/self/fd"))
    yield made
    assert made.look_outside() == made.before, "something outside the root was changed"
    assert {path.name for path in tmp_path.iterdir()} == {"box", "outside"}
    assert [path.name for path in made.path.parent.iterdir()] == ["rootfs"]
    assert set(os.listdir("/proc/self/fd")) <= fds, "a handle was left open"


@pytest.fixture
def layout(tmp_path: Path, root: None) -> Layout:
    return Layout(tmp_path / "layout")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "bundles").mkdir()
    return tmp_path / "bundles" / "box"
