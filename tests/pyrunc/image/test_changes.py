"""A layer of what has changed: put on the old root file system it makes the new one, and it says no more than that."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrunc.image import inventory
from pyrunc.image.apply import Applier
from pyrunc.image.changes import Changes, compare, layer
from pyrunc.image.tarread import Reader
from pyrunc.specs.errors import Invalid
from tests.pyrunc.image.reading import read
from tests.pyrunc.image.test_same_as_others import differences

TIME = 1_600_000_000


class Tree:
    """A root file system, and a copy of how it was."""

    def __init__(self, base: Path) -> None:
        self.path, self.copy = base / "new", base / "old"
        self.path.mkdir()
        self.warnings: list[str] = []
        for name in ("etc/deep", "usr/bin", "var/lib/many"):
            (self.path / name).mkdir(parents=True)
        for name in ("etc/passwd", "etc/deep/file", "usr/bin/tool", "var/lib/many/1", "var/lib/many/2"):
            (self.path / name).write_text(name)
        os.link(self.path / "usr/bin/tool", self.path / "usr/bin/other")
        (self.path / "link").symlink_to("etc/passwd")
        os.setxattr(self.path / "etc/passwd", "user.note", b"1")
        self.settle(self.path)
        os.system(f"cp -a {self.path} {self.copy}")
        self.root = os.open(self.path, os.O_PATH | os.O_DIRECTORY)
        self.old = self.take()

    def settle(self, top: Path) -> None:
        """Whole seconds, as layers have them."""
        for path in [*sorted(top.rglob("*"), reverse=True), top]:
            os.utime(path, (TIME, int(path.lstat().st_mtime)), follow_symlinks=False)

    def take(self) -> inventory.Inventory:
        return inventory.take(self.root, self.warnings.append)

    def changes(self, masks: tuple[bytes, ...] = ()) -> Changes:
        return compare(self.old, self.take(), lambda path: False, masks)

    def layer(self, clamp: int | None = None) -> bytes:
        return b"".join(layer(self.root, self.take(), self.changes(), clamp))

    def names(self) -> list[str]:
        return [os.fsdecode(entry.name) for entry, _ in read(self.layer())]

    def check(self) -> None:
        """The layer on the old tree is the new tree."""
        self.settle(self.path)
        root = os.open(self.copy, os.O_PATH | os.O_DIRECTORY)
        applier = Applier(root, False, self.warnings.append)
        applier.layer(Reader(iter([self.layer()])))
        applier.finish()
        os.close(root)
        assert differences(self.copy, self.path) == []


@pytest.fixture
def tree(tmp_path: Path, root: None) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    os.close(made.root)


def rewrite(path: Path) -> None:
    """Other contents of the same length, with the time put back: only ctime gives it away."""
    info = path.stat()
    path.write_bytes(bytes(info.st_size))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def replace(path: Path) -> None:
    os.system(f"rm -r {path}")
    path.mkdir()
    (path / "only").write_text("x")


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "below").write_text("x")


KINDS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "nothing": (lambda top: None, []),
    "a new file": (lambda top: (top / "etc/new").write_text("x"), ["etc/", "etc/new"]),
    "contents": (lambda top: (top / "etc/deep/file").write_text("other"), ["etc/", "etc/deep/", "etc/deep/file"]),
    "contents in secret": (lambda top: rewrite(top / "etc/passwd"), ["etc/", "etc/passwd"]),
    "a mode": (lambda top: os.chmod(top / "etc/passwd", 0o4711), ["etc/", "etc/passwd"]),
    "an owner": (lambda top: os.chown(top / "etc/deep", 5, 6), ["etc/", "etc/deep/"]),
    "an owner of a link": (lambda top: os.lchown(top / "link", 5, 6), ["link"]),
    "an attribute": (lambda top: os.setxattr(top / "etc/deep", "user.x", b"\0="), ["etc/", "etc/deep/"]),
    "an attribute less": (lambda top: os.removexattr(top / "etc/passwd", "user.note"), ["etc/", "etc/passwd"]),
    "a time": (lambda top: os.utime(top / "etc/passwd", (1, 1)), ["etc/", "etc/passwd"]),
    "the root": (lambda top: os.chmod(top, 0o700), ["./"]),
    "a file less": (lambda top: (top / "etc/passwd").unlink(), ["etc/", "etc/.wh.passwd"]),
    "a folder less": (lambda top: os.system(f"rm -r {top}/etc/deep"), ["etc/", "etc/.wh.deep"]),
    "at the top": (lambda top: (top / "link").unlink(), ["./", ".wh.link"]),
    "all of a folder": (
        lambda top: os.system(f"rm {top}/var/lib/many/*"),
        ["var/", "var/lib/", "var/lib/many/", "var/lib/many/.wh..wh..opq"],
    ),
    "a folder anew": (
        lambda top: replace(top / "var/lib/many"),
        ["var/", "var/lib/", "var/lib/many/", "var/lib/many/.wh..wh..opq", "var/lib/many/only"],
    ),
    "a file to a folder": (lambda top: to_folder(top / "etc/passwd"), ["etc/", "etc/passwd/", "etc/passwd/below"]),
    "a folder to a file": (
        lambda top: (os.system(f"rm -r {top}/etc/deep"), (top / "etc/deep").write_text("x")),
        ["etc/", "etc/deep"],
    ),
    "another name": (
        lambda top: os.link(top / "usr/bin/tool", top / "usr/bin/third"),
        ["usr/", "usr/bin/", "usr/bin/other", "usr/bin/third", "usr/bin/tool"],
    ),
    "a name less": (
        lambda top: (top / "usr/bin/other").unlink(),
        ["usr/", "usr/bin/", "usr/bin/.wh.other", "usr/bin/tool"],
    ),
    "a new target": (
        lambda top: ((top / "link").unlink(), (top / "link").symlink_to("e/" * 150)),
        ["./", "link"],
    ),
    "a device": (lambda top: os.mknod(top / "etc/null", 0o20666, os.makedev(1, 3)), ["etc/", "etc/null"]),
    "a fifo": (lambda top: os.mkfifo(top / "etc/fifo", 0o600), ["etc/", "etc/fifo"]),
    "a hole": (lambda top: os.truncate(top / "etc/passwd", 3_000_000), ["etc/", "etc/passwd"]),
    "a foreign name": (lambda top: (top / os.fsdecode(b"etc/\xff\xfe")).write_text("x"), ["etc/", "etc/\udcff\udcfe"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(tree: Tree, kind: str) -> None:
    """Every kind of change makes exactly the entries that it takes, and they make the change."""
    change, names = KINDS[kind]
    change(tree.path)

    assert tree.names() == names
    tree.check()


def test_same_bytes(tree: Tree) -> None:
    """The same change makes the same archive, and no time in it is later than the clamp."""
    (tree.path / "etc/new").write_text("x")
    first = tree.layer(clamp=TIME)

    assert tree.layer(clamp=TIME) == first
    assert max(entry.mtime for entry, _ in read(first)) == TIME * 1_000_000_000


def test_copied_elsewhere(tree: Tree) -> None:
    """Of a copy with other inodes only those files are changed whose contents are."""
    (tree.copy / "etc/passwd").write_text("changed")
    handle = os.open(tree.copy, os.O_PATH | os.O_DIRECTORY)
    new = inventory.take(handle, tree.warnings.append)
    os.close(handle)
    asked: list[bytes] = []

    def same(path: bytes) -> bool:
        asked.append(path)
        return True

    assert compare(tree.old, new, same).written() == {b"etc/passwd"}
    assert b"etc/deep/file" in asked


def test_kept_as_text(tree: Tree) -> None:
    """The list beside a bundle says all that the inventory did, names that are no text too."""
    (tree.path / os.fsdecode(b"\xff")).write_text("x")
    rows = b",".join(inventory.rows(tree.root, tree.warnings.append))
    tree.old = inventory.load(json.loads(b"[%b]" % rows))

    assert not tree.changes()


@pytest.mark.parametrize("rows", [None, 1, [1], [["a"]], [["a", "0", 1, 1, 1, 1, 1, 1, "", {"a": "zz"}, 1, 1]]])
def test_damaged_text(rows: object) -> None:
    """A damaged list is an error of one sentence."""
    with pytest.raises(Invalid, match="damaged"):
        inventory.load(rows)


def test_masks(tree: Tree) -> None:
    """What is at or below a mask is neither added nor removed."""
    (tree.path / "etc/deep/file").unlink()
    (tree.path / "etc/deep/new").write_text("x")
    (tree.path / "etc/deeper").write_text("x")

    assert tree.changes((b"etc/deep",)).written() == {b"etc", b"etc/deeper"}
    assert not tree.changes((b"etc/deep",)).removed


def test_sockets(tree: Tree) -> None:
    """A socket is left out, and that is said."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tree.path / "etc/socket"))

    assert tree.names() == ["etc/"]
    assert any("/etc/socket" in warning for warning in tree.warnings)


def test_false_whiteout(tree: Tree) -> None:
    """A file that would be taken for a whiteout is refused."""
    (tree.path / "etc/.wh.passwd").write_text("x")
    with pytest.raises(Invalid, match=r"/etc/\.wh\.passwd.* would be taken for a whiteout"):
        tree.layer()


def test_swapped_for_a_link(tree: Tree) -> None:
    """A file that becomes a link out of the root while we work is not followed."""
    (tree.path / "etc/new").write_text("x" * 100)
    new = tree.take()
    changes = compare(tree.old, new, lambda path: False)
    (tree.path / "etc/new").unlink()
    (tree.path / "etc/new").symlink_to("/etc/passwd")
    with pytest.raises(Invalid, match="changed while it was read"):
        b"".join(layer(tree.root, new, changes))


def test_noted_owner(tree: Tree) -> None:
    """The owner in user.rootlesscontainers is the owner in the layer; the attribute is not in it."""
    from pyrunc.image.attributes import OWNER, with_owner

    (tree.path / "etc/new").write_text("x")
    os.setxattr(tree.path / "etc/new", OWNER, with_owner({}, 0, 3000)[OWNER])
    [entry] = [entry for entry, _ in read(tree.layer()) if entry.name == b"etc/new"]

    assert (entry.uid, entry.gid, entry.xattrs) == (0, 3000, {})
