"""Layers unpacked once and stacked by overlayfs: they show what they would show on one root file system."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunc.image import layers, stacked, unpack
from pyrunc.specs.errors import Failure, Invalid, PyruncError
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file, folder, hardlink, header, pax, symlink

BASE = archive(
    folder(b"./", mode=0o751, uid=3),
    folder(b"etc", mode=0o750, uid=1, gid=2),
    folder(b"etc/deep/er", mode=0o711),
    file(b"etc/a", b"a", uid=5),
    file(b"etc/b", b"b"),
    pax((b"SCHILY.xattr.user.k", b"v")) + folder(b"data", mode=0o1777),
    file(b"data/x", b"x"),
    file(b"data/sub/y", b"y"),
    file(b"file", b"f"),
    symlink(b"link", b"etc"),
)
STACKS = {
    "more": (archive(file(b"etc/c", b"c"), file(b"new/d", b"d")),),
    "over": (archive(file(b"etc/a", b"A", mode=0o4755), hardlink(b"etc/h", b"etc/a")),),
    "gone": (archive(file(b"etc/.wh.a"), file(b".wh.data"), file(b".wh.link")),),
    "gone-twice": (archive(file(b"etc/.wh.a")), archive(file(b"etc/.wh.a"), file(b"etc/.wh.never"))),
    "gone-and-back": (archive(file(b".wh.data")), archive(folder(b"data"), file(b"data/z", b"z"))),
    "gone-in-one": (archive(file(b".wh.data"), folder(b"data", mode=0o700), file(b"data/z", b"z")),),
    "gone-late": (archive(folder(b"data", mode=0o700, mtime=2_000_000), file(b"data/z", b"z"), file(b".wh.data")),),
    "own-stays": (archive(file(b"etc/a", b"A"), file(b"etc/.wh.a")),),
    "file-over-implied": (archive(file(b"data/z", b"z"), file(b"data")),),
    "emptied": (archive(file(b"data/.wh..wh..opq"), file(b"data/z", b"z")),),
    "emptied-late": (archive(folder(b"data"), file(b"data/z", b"z"), file(b"data/.wh..wh..opq")),),
    "emptied-deep": (archive(file(b"etc/.wh..wh..opq")), archive(file(b"etc/deep/n", b"n"))),
    "implied-deep": (archive(file(b"etc/deep/er/n", b"n")), archive(file(b"etc/deep/er/m", b"m"))),
    "file-to-folder": (archive(folder(b"file", mode=0o700), file(b"file/x", b"x")),),
    "folder-to-file": (archive(file(b"data", b"now a file")),),
    "link-to-folder": (archive(folder(b"link"), file(b"link/x", b"x")),),
    "root-again": (archive(folder(b"./", mode=0o700)), archive(file(b"x"))),
}
REFUSED = {
    "through-a-link": (archive(file(b"link/x", b"x")), "folder here and none"),
    "through-a-link-below": (archive(file(b"link/deep/x", b"x")), "folder here and none"),
    "below-a-file": (archive(file(b"file/x", b"x")), "folder here and none"),
    "link-to-a-lower-file": (archive(hardlink(b"h", b"etc/a")), "not there"),
    "false-whiteout": (archive(header(b"etc/a", b"3")), "takes for a whiteout"),
}


@pytest.fixture
def place(layout: Layout, tmp_path: Path) -> Iterator[Path]:
    if b"overlay" not in Path("/proc/filesystems").read_bytes():
        pytest.skip("the kernel has no overlay")
    # On a tmpfs: the machine's own root may be an overlay itself, which takes no whiteouts.
    top = tmp_path / "top"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "layers", top], check=True)
    yield top
    for name in ("box", "other"):
        subprocess.run(["umount", top / name / "rootfs"], capture_output=True)
    subprocess.run(["umount", top], check=True)


def described(root: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for path in [root, *sorted(root.rglob("*"))]:
        info = path.lstat()
        regular, link = stat.S_ISREG(info.st_mode), stat.S_ISLNK(info.st_mode)
        what = path.read_bytes() if regular else os.readlink(path) if link else b""
        xattrs = os.listxattr(path, follow_symlinks=False)
        # Folders that no layer describes have the time at which they were made.
        time = info.st_mtime_ns if info.st_mtime < 1_700_000_000 else 0
        found[str(path.relative_to(root))] = (info.st_mode, info.st_uid, info.st_gid, time, what, xattrs)
    return found


def stack(layout: Layout, place: Path, *upper: bytes, name: str = "box") -> Path:
    layout.image(BASE, *upper, name=name)
    stacked.unpack(f"oci:{layout.write()}:{name}", str(place / name), None, str(place / "layers"), lambda message: None)
    return place / name


@pytest.mark.parametrize("case", STACKS)
def test_a_stack_shows_what_one_root_file_system_has(layout: Layout, place: Path, case: str) -> None:
    """Files, owners, modes, times, attributes: whether layers are stacked or put on one another makes no difference."""
    box = stack(layout, place, *STACKS[case])
    unpack(f"oci:{layout.path}:box", str(place / "flat"))

    assert described(box / "rootfs") == described(place / "flat" / "rootfs")
    ours, theirs = ((place / name / "config.json").read_text() for name in ("box", "flat"))
    assert ours == theirs


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stacked_is_refused(layout: Layout, place: Path, case: str) -> None:
    """Rather than shown differently. Nothing is left but whole layers."""
    with pytest.raises(Invalid, match=REFUSED[case][1]):
        stack(layout, place, REFUSED[case][0])
    assert {path.name for path in place.iterdir()} == {"layers"}
    assert {path.name for path in (place / "layers").iterdir()} <= {"sha256"}


def test_layers_are_shared(layout: Layout, place: Path) -> None:
    """A layer that is there is not unpacked again; what one container changes is its own."""
    box = stack(layout, place, STACKS["more"][0])
    kept = {path: path.stat().st_ino for path in (place / "layers/sha256").iterdir()}
    (box / "rootfs/etc/b").write_text("changed")
    other = stack(layout, place, STACKS["more"][0], STACKS["over"][0], name="other")

    assert len(kept) == 2
    assert kept.items() <= {path: path.stat().st_ino for path in (place / "layers/sha256").iterdir()}.items()
    assert (other / "rootfs/etc/b").read_text() == "b"


def test_mount_and_umount(layout: Layout, place: Path) -> None:
    """What was changed is there again; twice is an error."""
    box = stack(layout, place)
    (box / "rootfs/etc/b").write_text("changed")
    stacked.unmount(str(box))
    assert list((box / "rootfs").iterdir()) == []
    with pytest.raises(Failure, match="nothing is mounted"):
        stacked.unmount(str(box))
    stacked.mount(str(box))

    assert (box / "rootfs/etc/b").read_text() == "changed"
    with pytest.raises(Failure, match="something is mounted"):
        stacked.mount(str(box))


def test_a_lost_layer_is_named(layout: Layout, place: Path) -> None:
    """Rather than a mount of the rest."""
    box = stack(layout, place)
    stacked.unmount(str(box))
    (place / "layers/sha256").rename(place / "layers/elsewhere")
    with pytest.raises(Failure, match="is not there any more"):
        stacked.mount(str(box))


def test_what_a_crash_left_is_removed(layout: Layout, place: Path) -> None:
    """And what somebody is at work on is not."""
    (place / "layers/.new-crashed/diff/etc").mkdir(parents=True)
    (place / "layers/.new-working/diff").mkdir(parents=True)
    with layers.opened([str(place / "layers/.new-working")]) as (fd,):
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX)
        stack(layout, place)

    assert {path.name for path in (place / "layers").iterdir()} == {".new-working", "sha256"}


def test_a_broken_layer_leaves_nothing(layout: Layout, place: Path) -> None:
    """Not the layers beside it either, which are not whole without those below."""
    with pytest.raises(PyruncError, match="layer sha256"):
        stack(layout, place, b"no archive" * 100)
    assert {path.name for path in place.iterdir()} == {"layers"}
    assert list((place / "layers").iterdir()) == []


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "pyrunc", "image", *map(str, words)]
    return subprocess.run(program, capture_output=True, text=True, cwd=Path(__file__).parents[3])


def test_the_commands(layout: Layout, place: Path) -> None:
    """unpack --layers, umount, mount: from the command line."""
    layout.image(BASE, name="box")
    source, box = f"oci:{layout.write()}:box", place / "box"
    done = command("unpack", "--layers", "--store", place / "store", source, box)
    assert (done.returncode, done.stderr) == (0, "")
    assert (box / "rootfs/etc/a").read_bytes() == b"a"
    assert [path.name for path in (place / "store/layers").iterdir()] == ["sha256"]

    assert command("umount", box).returncode == 0
    assert not (box / "rootfs/etc").exists()
    assert command("mount", box).returncode == 0
    assert (box / "rootfs/etc/a").read_bytes() == b"a"
    again = command("unpack", "--layers", "--store", place / "store", source, box)
    assert (again.returncode, "already has a rootfs" in again.stderr) == (1, True)
    both = command("unpack", "--layers", "--rootless", source, place / "other")
    assert (both.returncode, (place / "other").exists()) == (1, False)
