"""Files below a root from Python: the same promises as the path layer's, and errors as OSError."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrunc.sandbox import files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "f").write_text("inside")
    (root / "abs").symlink_to("/a/b")
    (root / "up").symlink_to("../../../secret")
    (root / "dangling").symlink_to("/x/y")
    return root


@pytest.fixture
def root(tree: Path) -> Iterator[int]:
    fds = set(os.listdir("/proc/self/fd"))
    fd = os.open(tree, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)
    assert set(os.listdir("/proc/self/fd")) <= fds | {str(fd)}


def content(fd: int) -> str:
    with open(fd) as file:
        return file.read()


@pytest.mark.parametrize("path", [b"a/b/f", b"/a/b/f", b"abs/f", b"a/../../../a/b/f", b"./abs//f"])
def test_paths_are_resolved_inside_the_root(root: int, path: bytes) -> None:
    """Absolute paths, links and ".." count from the root."""
    assert content(files.open_in_root(root, path, os.O_RDONLY)) == "inside"


@pytest.mark.parametrize("path", [b"up", b"../secret", b"a/b/../../../secret", b"/proc/self/root"])
def test_nothing_leads_out(root: int, path: bytes) -> None:
    """Whatever the path, only the tree below the root is seen."""
    with pytest.raises(FileNotFoundError):
        files.open_in_root(root, path, os.O_RDONLY)


def test_without_links(root: int) -> None:
    """Where no link is to be followed, one is an error."""
    assert content(files.open_nolinks(root, b"a/b/f", os.O_RDONLY)) == "inside"
    with pytest.raises(OSError) as caught:
        files.open_nolinks(root, b"abs/f", os.O_RDONLY)
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize(
    ("path", "above", "last"),
    [(b"abs/f", "a/b", b"f"), (b"a/b/missing", "a/b", b"missing"), (b"abs", ".", b"abs"), (b"a/b/", "a", b"b")],
)
def test_the_parent_and_the_last_component(root: int, tree: Path, path: bytes, above: str, last: bytes) -> None:
    """The last component is not looked at: it may be a link, or missing."""
    fd, name = files.parent(root, path)

    assert name == last
    assert os.path.samestat(os.fstat(fd), (tree / above).stat())
    os.close(fd)


@pytest.mark.parametrize("path", [b"/", b".", b""])
def test_the_root_has_no_parent(root: int, path: bytes) -> None:
    """The root cannot be named as something in a folder."""
    with pytest.raises(OSError) as caught:
        files.parent(root, path)
    assert caught.value.errno in (errno.EINVAL, errno.ENOENT)


def test_making_folders(root: int, tree: Path) -> None:
    """What is missing is made, through links that lead nowhere yet too, and never outside."""
    os.close(files.make_folders(root, b"n/e/w", 0o700))
    os.close(files.make_folders(root, b"dangling", 0o755))
    os.close(files.make_folders(root, b"../../m", 0o700))

    assert (tree / "n" / "e" / "w").is_dir() and (tree / "x" / "y").is_dir()
    assert (tree / "m").is_dir()
    assert sorted(path.name for path in tree.parent.iterdir()) == ["root", "secret"]


def test_what_comes_back_is_closed_on_exec(root: int) -> None:
    """No handle gets into another program."""
    fd = files.open_in_root(root, b"a", os.O_RDONLY | os.O_DIRECTORY)

    assert not os.get_inheritable(fd)
    os.close(fd)


@pytest.mark.parametrize(
    "call",
    [
        lambda root: files.open_in_root(root, b"a\0b", os.O_RDONLY),
        lambda root: files.open_nolinks(root, b"a\0b", os.O_RDONLY),
        lambda root: files.parent(root, b"a\0b"),
        lambda root: files.make_folders(root, b"a\0b", 0o755),
    ],
)
def test_a_nul_is_not_the_end_of_a_name(root: int, call: Callable[[int], object]) -> None:
    """A path with a NUL is refused, not cut."""
    with pytest.raises(ValueError, match="null byte"):
        call(root)


def test_errors_name_the_path(root: int) -> None:
    """The exception knows which path it was."""
    with pytest.raises(FileNotFoundError) as caught:
        files.open_in_root(root, b"no/where", os.O_RDONLY)

    assert caught.value.filename == "no/where"
