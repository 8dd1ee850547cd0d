"""Layers unpacked once and stacked by overlayfs: they show what they would show on one root file system."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrunc import images
from pyrunc.image import layers, overlay, stacked, unpack
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
    "root-emptied": (archive(file(b".wh..wh..opq"), file(b"alone", b"x"), folder(b"data"), file(b"etc/n", b"n")),),
    "root-emptied-and-described": (archive(folder(b"./", mode=0o711, uid=9), file(b".wh..wh..opq"), file(b"m")),),
    "root-emptied-below": (archive(file(b".wh..wh..opq")), archive(file(b"data/z", b"z"))),
    "root-emptied-twice": (archive(file(b".wh..wh..opq"), file(b"n")), archive(file(b".wh..wh..opq"), file(b"m"))),
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
TOP = Path(__file__).parents[3]


@pytest.fixture
def place(layout: Layout, tmp_path: Path) -> Iterator[Path]:
    if b"overlay" not in Path("/proc/filesystems").read_bytes():
        pytest.skip("the kernel has no overlay")
    # On a tmpfs: the machine's own root may be an overlay itself, which takes no whiteouts.
    top = tmp_path / "top"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "layers", top], check=True)
    yield top
    subprocess.run(["umount", top], check=True)  # which fails if anything is left on it


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


def stack(layout: Layout, place: Path, *upper: bytes, name: str = "box", erofs: bool = False) -> Path:
    layout.image(BASE, *upper, name=name)
    images.unpack(f"oci:{layout.write()}:{name}", str(place / name), layers=True, erofs=erofs, store=str(place))
    return place / name


@contextmanager
def shown(box: Path) -> Iterator[Path]:
    """The root file system, read-only."""
    images.mount(str(box))
    try:
        yield box / "rootfs"
    finally:
        images.umount(str(box))


@contextmanager
def at_work(box: Path) -> Iterator[Path]:
    """The root file system as a container of the bundle has it."""
    found = stacked.Stack(str(box))
    root = overlay.stack(found.layers, found.upper, found.work, found.options)
    try:
        overlay.attach(root, str(box / "rootfs"))
    finally:
        os.close(root)
    try:
        yield box / "rootfs"
    finally:
        overlay.unmount(str(box / "rootfs"))


@pytest.mark.parametrize("case", STACKS)
def test_a_stack_shows_what_one_root_file_system_has(layout: Layout, place: Path, case: str) -> None:
    """Files, owners, modes, times, attributes: whether layers are stacked or put on one another makes no difference."""
    box = stack(layout, place, *STACKS[case])
    unpack(f"oci:{layout.path}:box", str(place / "flat"))

    flat = described(place / "flat" / "rootfs")
    with shown(box) as root:
        assert described(root) == flat
    with at_work(box) as root:
        assert described(root) == flat
    ours, theirs = (json.loads((place / name / "config.json").read_text()) for name in ("box", "flat"))
    assert ours["mounts"].pop(0)["destination"] == "/"
    assert ours == theirs


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stacked_is_refused(layout: Layout, place: Path, case: str) -> None:
    """Rather than shown differently. Nothing is left but whole layers."""
    with pytest.raises(Invalid, match=REFUSED[case][1]):
        stack(layout, place, REFUSED[case][0])
    assert {path.name for path in place.iterdir()} == {"layers"}
    assert {path.name for path in (place / "layers").iterdir()} <= {"bundles", "sha256"}


def test_layers_are_shared(layout: Layout, place: Path) -> None:
    """A layer that is there is not unpacked again; what one container changes is its own."""
    box = stack(layout, place, STACKS["more"][0])
    kept = {path: path.stat().st_ino for path in (place / "layers/sha256").iterdir()}
    with at_work(box) as root:
        (root / "etc/b").write_text("changed")
    other = stack(layout, place, STACKS["more"][0], STACKS["over"][0], name="other")

    assert len(kept) == 2
    assert kept.items() <= {path: path.stat().st_ino for path in (place / "layers/sha256").iterdir()}.items()
    with shown(other) as root:
        assert (root / "etc/b").read_text() == "b"
    with shown(box) as root:
        assert (root / "etc/b").read_text() == "changed"


def test_mount_and_umount(layout: Layout, place: Path) -> None:
    """On any folder, read-only; what is not mounted is not unmounted."""
    box = stack(layout, place)
    (place / "elsewhere").mkdir()
    images.mount(str(box), str(place / "elsewhere"))
    try:
        assert (place / "elsewhere/etc/a").read_text() == "a"
        with pytest.raises(OSError, match="Read-only"):
            (place / "elsewhere/new").touch()
    finally:
        images.umount(str(box), str(place / "elsewhere"))
    with pytest.raises(Failure, match="nothing is mounted"):
        images.umount(str(box))


def test_a_lost_layer_is_named(layout: Layout, place: Path) -> None:
    """Rather than a stack of the rest."""
    box = stack(layout, place)
    (place / "layers/sha256").rename(place / "layers/elsewhere")
    with pytest.raises(Failure, match="is gone"):
        images.mount(str(box))


def test_what_a_crash_left_is_removed(layout: Layout, place: Path) -> None:
    """And what somebody is at work on is not."""
    (place / "layers/.new-crashed/diff/etc").mkdir(parents=True)
    (place / "layers/.new-working/diff").mkdir(parents=True)
    with overlay.opened([str(place / "layers/.new-working")]) as (fd,):
        fcntl.flock(fd, fcntl.LOCK_EX)
        stack(layout, place)

    assert {path.name for path in (place / "layers").iterdir()} == {".new-working", "bundles", "sha256"}


def test_a_broken_layer_leaves_nothing(layout: Layout, place: Path) -> None:
    """Not the layers beside it either, which are not whole without those below."""
    with pytest.raises(PyruncError, match="layer sha256"):
        stack(layout, place, b"no archive" * 100)
    assert {path.name for path in place.iterdir()} == {"layers"}
    assert list((place / "layers").iterdir()) == []


def test_forged_marks_are_dropped(layout: Layout, place: Path) -> None:
    """An image cannot say by attributes what overlayfs is to hide, to take from elsewhere, or to believe."""
    forged = b"".join(
        pax((b"SCHILY.xattr." + prefix + b".overlay." + name, value)) + folder(b"etc")
        for prefix in (b"trusted", b"user")
        for name, value in ((b"opaque", b"y"), (b"redirect", b"/data"), (b"whiteouts", b"y"))
    )
    metacopy = pax((b"SCHILY.xattr.trusted.overlay.metacopy", b""), (b"SCHILY.xattr.trusted.overlay.redirect", b"/x"))
    whiteout = pax((b"SCHILY.xattr.trusted.overlay.whiteout", b"")) + file(b"etc/b", b"mine")
    box = stack(layout, place, archive(forged, metacopy + file(b"etc/a", b"mine"), whiteout))

    with at_work(box) as root:
        assert sorted(os.listdir(root / "etc")) == ["a", "b", "deep"]
        assert ((root / "etc/a").read_text(), (root / "etc/b").read_text()) == ("mine", "mine")
    for path in (place / "layers/sha256").rglob("etc"):
        assert not any("overlay" in name for name in os.listxattr(path))


def test_file_systems_that_keep_no_attributes(layout: Layout, place: Path) -> None:
    """An emptied folder cannot be marked there: an error says so, and no layer is left that lacks the mark."""
    (place / "plain").mkdir()
    subprocess.run(["mount", "-t", "ramfs", "plain", place / "plain"], check=True)
    try:
        with pytest.raises(Failure, match=r"set the attribute trusted\.overlay\.opaque") as caught:
            stack(layout, place / "plain", STACKS["emptied"][0])
        assert "without --layers" in str(caught.value.hint)
        assert list((place / "plain/layers").iterdir()) == []
    finally:
        subprocess.run(["umount", place / "plain"], check=True)


def test_what_is_no_stack(layout: Layout, place: Path) -> None:
    """A flat bundle is not mounted, and a folder that is not there is not mounted on."""
    box = stack(layout, place)
    images.unpack(f"oci:{layout.path}:box", str(place / "flat"))
    with pytest.raises(Invalid, match="has no stack of layers"):
        images.mount(str(place / "flat"))
    with pytest.raises(Failure, match="mount the layers on"):
        images.mount(str(box), str(place / "nowhere"))


# -- garbage ----------------------------------------------------------------------------------------------------------


def test_layers_that_bundles_use_stay(layout: Layout, place: Path) -> None:
    """Also when the bundle is moved; when all are gone so are the layers."""
    box = stack(layout, place, STACKS["more"][0])
    other = stack(layout, place, name="other")
    assert images.collect(store=str(place)) == (0, 0)
    moved = box.rename(place / "moved")
    assert images.collect(store=str(place)) == (0, 0)

    with shown(moved) as root:
        assert (root / "new/d").read_text() == "d"
    subprocess.run(["rm", "-r", moved], check=True)
    files, freed = images.collect(store=str(place))
    assert (files, freed) == (2, 2)  # etc/c and new/d
    with shown(other) as root:
        assert (root / "etc/a").read_text() == "a"
    subprocess.run(["rm", "-r", other], check=True)
    assert images.collect(store=str(place))[0] > 0
    assert list((place / "layers/sha256").iterdir()) == list((place / "layers/bundles").iterdir()) == []


def test_layers_that_images_have_stay(layout: Layout, place: Path) -> None:
    """As long as a name of the store leads to them."""
    layout.image(BASE, name="box")
    images.copy(f"oci:{layout.write()}:box", "example.org/box:1", store=str(place))
    box = stack(layout, place)
    subprocess.run(["rm", "-r", box], check=True)
    assert images.collect(store=str(place)) == (0, 0)
    assert len(list((place / "layers/sha256").iterdir())) == 1

    images.remove("example.org/box:1", store=str(place))
    images.collect(store=str(place))
    assert list((place / "layers/sha256").iterdir()) == []


def test_bundles_on_other_file_systems(layout: Layout, place: Path, tmp_path: Path) -> None:
    """Their layers stay while they are where they were made."""
    layout.image(BASE, name="box")
    box = tmp_path / "far"
    images.unpack(f"oci:{layout.write()}:box", str(box), layers=True, store=str(place))
    assert (box / "layers").stat().st_nlink == 1
    assert images.collect(store=str(place)) == (0, 0)
    subprocess.run(["rm", "-r", box], check=True)
    assert images.collect(store=str(place))[0] > 0


def test_who_unpacks_is_waited_for(layout: Layout, place: Path) -> None:
    """Layers that nobody uses yet are not taken from under whoever is about to use them."""
    box = stack(layout, place)
    subprocess.run(["rm", "-r", box], check=True)
    with layers.locked(str(place / "layers"), fcntl.LOCK_SH):
        collecting = subprocess.Popen([sys.executable, "-m", "pyrunc", "image", "gc", "--store", place], cwd=TOP)
        with pytest.raises(subprocess.TimeoutExpired):
            collecting.wait(1)
        assert len(list((place / "layers/sha256").iterdir())) == 1
    assert collecting.wait(20) == 0
    assert list((place / "layers/sha256").iterdir()) == []


# -- the commands -----------------------------------------------------------------------------------------------------


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "pyrunc", "image", *map(str, words)]
    return subprocess.run(program, capture_output=True, text=True, cwd=TOP)


def test_the_commands(layout: Layout, place: Path) -> None:
    """unpack --layers, mount, umount, gc: from the command line."""
    layout.image(BASE, name="box")
    source, box = f"oci:{layout.write()}:box", place / "box"
    done = command("unpack", "--layers", "--store", place / "store", source, box)
    assert (done.returncode, done.stderr) == (0, "")
    assert list((box / "rootfs").iterdir()) == []
    assert {path.name for path in (place / "store/layers").iterdir()} == {"bundles", "sha256"}

    assert command("mount", box).returncode == 0
    assert (box / "rootfs/etc/a").read_bytes() == b"a"
    assert command("umount", box).returncode == 0
    assert not (box / "rootfs/etc").exists()
    again = command("unpack", "--layers", "--store", place / "store", source, box)
    assert (again.returncode, "already has a rootfs" in again.stderr) == (1, True)
    assert command("gc", "--store", place / "store").stdout == "0 files, 0 B\n"


def test_killed_at_any_moment(layout: Layout, place: Path) -> None:
    """What is there afterwards is whole; the next one makes the rest, and removes what was left."""
    many = b"".join(file(b"many/%d" % number, b"x" * 3000) for number in range(1500))
    layout.image(BASE, many + archive(), STACKS["over"][0], name="box")
    source, box = f"oci:{layout.write()}:box", place / "box"
    words = [sys.executable, "-m", "pyrunc", "image", "unpack", "--layers", "--store", place, source, box]
    killed = 0
    for moment in range(20):
        process = subprocess.Popen(words, cwd=TOP)
        try:
            process.wait(0.02 + 0.02 * moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        if box.exists():
            break
    assert killed > 0
    if not box.exists():
        subprocess.run(words, cwd=TOP, check=True)

    images.unpack(source, str(place / "flat"))
    with shown(box) as root:
        assert described(root) == described(place / "flat/rootfs")
    images.collect(store=str(place))
    assert {path.name for path in place.iterdir()} == {"box", "flat", "layers"}
    assert {path.name for path in (place / "layers").iterdir()} == {"bundles", "sha256"}
    assert len(list((place / "layers/bundles").iterdir())) == 1
