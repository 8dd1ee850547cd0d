"""Stacked bundles back into images: exactly what the container changed, read off the folder that overlayfs keeps."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc import images
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file, folder, hardlink, pax, symlink
from tests.pyrunc.image.test_layers import at_work, described, place

__all__ = ["place"]

BASE = (
    archive(
        folder(b"./", mode=0o755),
        folder(b"etc", uid=1, gid=2),
        file(b"etc/a", b"a", uid=5, mode=0o640),
        file(b"etc/b", b"b"),
        pax((b"SCHILY.xattr.user.k", b"v")) + file(b"etc/attr", b"x"),
        folder(b"data", mode=0o1777),
        file(b"data/x", b"x"),
        folder(b"data/sub"),
        file(b"data/sub/y", b"y"),
        file(b"data/sub/z", b"z"),
        file(b"one", b"same"),
        hardlink(b"two", b"one"),
        symlink(b"link", b"etc"),
    ),
    archive(file(b"etc/c", b"c"), file(b"etc/.wh.b")),
)
Rows = list[tuple[str, str]]


def write(root: Path) -> None:
    (root / "etc/a").write_text("changed")


def look_only(root: Path) -> None:
    """Copied up, for overlayfs cannot know better, but the same."""
    info = (root / "etc/a").stat()
    os.close(os.open(root / "etc/a", os.O_RDWR))
    os.chmod(root / "etc/a", 0o640)
    assert (root / "etc/a").stat().st_mtime_ns == info.st_mtime_ns


def add(root: Path) -> None:
    (root / "new/deep").mkdir(parents=True)
    (root / "new/deep/file").write_text("new")
    os.link(root / "new/deep/file", root / "new/again")


def remove(root: Path) -> None:
    (root / "etc/a").unlink()
    shutil.rmtree(root / "data/sub")


def empty(root: Path) -> None:
    shutil.rmtree(root / "data/sub")
    (root / "data/x").unlink()


def replace(root: Path) -> None:
    shutil.rmtree(root / "data/sub")
    (root / "data/sub").mkdir()
    (root / "data/sub/y").write_text("other")
    (root / "link").unlink()
    (root / "link").mkdir()
    (root / "link/a").write_text("no link any more")


def make_again(root: Path) -> None:
    """A folder that was removed and comes back as it was, hidden behind the mark that it hides what was there."""
    shutil.copytree(root / "data", root / "copy", symlinks=True)
    shutil.rmtree(root / "data")
    (root / "copy").rename(root / "data")
    os.utime(root / "data", (1_600_000_000, 1_600_000_000))
    for path in (root / "data").rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))


def attributes(root: Path) -> None:
    os.chmod(root / "data", 0o700)
    os.setxattr(root / "etc/attr", "user.more", b"w")


def one_of_two(root: Path) -> None:
    (root / "one").write_text("own now")


CHANGES: dict[Callable[[Path], None], Rows] = {
    look_only: [],
    write: [("M", "/etc/a")],
    add: [("A", "/new"), ("A", "/new/again"), ("A", "/new/deep"), ("A", "/new/deep/file")],
    remove: [("D", "/data/sub"), ("D", "/etc/a")],
    empty: [("D", "/data/sub"), ("D", "/data/x")],
    replace: [("M", "/data/sub/y"), ("D", "/data/sub/z"), ("A", "/link/a")],
    attributes: [("M", "/data"), ("M", "/etc/attr")],
    one_of_two: [("M", "/one")],
}


@pytest.fixture
def box(layout: Layout, place: Path) -> Path:
    layout.image(*BASE, name="box")
    images.unpack(f"oci:{layout.write()}:box", str(place / "box"), layers=True, store=str(place))
    return place / "box"


def changed(box: Path) -> Rows:
    """What is other, without folders in which something is: their time is other as well."""
    rows = images.diff(str(box))
    above = {str(parent) for _, path in rows for parent in Path(path).parents}
    return [row for row in rows if row[0] != "M" or row[1] not in above]


def test_nothing_has_changed(layout: Layout, box: Path, place: Path) -> None:
    """The image is the one that it was, also when it has been at work."""
    with at_work(box) as root:
        assert (root / "etc/c").read_text() == "c"
    digest = images.repack(str(box), f"oci:{place / 'out'}:new")
    assert digest == images.inspect(f"oci:{layout.path}:box")["digest"]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_exactly_the_change(box: Path, place: Path, change: Callable[[Path], None]) -> None:
    """One layer that says it, in the words of OCI; unpacked on one another the layers are what the container had."""
    with at_work(box) as root:
        change(root)
        expected = described(root)
    assert changed(box) == CHANGES[change]

    images.repack(str(box), f"oci:{place / 'out'}:new")
    assert len(images.inspect(f"oci:{place / 'out'}:new")["layers"]) == 2 + bool(CHANGES[change])
    images.unpack(f"oci:{place / 'out'}:new", str(place / "flat"))
    assert described(place / "flat/rootfs") == expected
    images.unpack(f"oci:{place / 'out'}:new", str(place / "again"), layers=True, store=str(place))
    with at_work(place / "again") as root:
        assert described(root) == expected


def test_a_mark_that_is_none(box: Path) -> None:
    """Anybody can set attributes of users; in a stack of root's they hide nothing, and do not reach an image."""
    with at_work(box) as root:
        os.setxattr(root / "etc", "user.overlay.opaque", b"y")
        assert (root / "etc/a").exists()
    assert images.diff(str(box)) == []


def test_a_whiteout_of_nothing(box: Path) -> None:
    """What was never there has not gone."""
    (box / "upper/own").mkdir()
    for name in ("nothing", "own/nothing"):
        os.mknod(box / "upper" / name, stat.S_IFCHR, 0)
    assert images.diff(str(box)) == [("M", "/"), ("A", "/own")]


def test_a_folder_that_came_back(box: Path) -> None:
    """Nothing is said to have gone that is there."""
    with at_work(box) as root:
        make_again(root)
    assert not any(kind == "D" for kind, _ in images.diff(str(box)))


def test_refresh(box: Path, place: Path) -> None:
    """The next image has one more layer, of what came after."""
    with at_work(box) as root:
        write(root)
    images.repack(str(box), f"oci:{place / 'out'}:one", refresh=True)
    assert images.diff(str(box)) == []
    with at_work(box) as root:
        (root / "new").write_text("new")
    images.repack(str(box), f"oci:{place / 'out'}:two")
    assert len(images.inspect(f"oci:{place / 'out'}:two")["layers"]) == 4
    assert ("A", "/new") in images.diff(str(box))
    assert ("M", "/etc/a") not in images.diff(str(box))


def test_another_image(layout: Layout, box: Path) -> None:
    """Compared with an image that is not the one stacked, the whole counts."""
    layout.image(archive(folder(b"./"), file(b"only", b"x")), name="other")
    layout.write()
    rows = images.diff(str(box), f"oci:{layout.path}:other")
    assert {("D", "/only"), ("A", "/etc/a"), ("A", "/data/sub/y")} <= set(rows)
