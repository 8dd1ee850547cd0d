"""The same root file system that other programs make of the same layers, down to times, attributes and links."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunc.image import unpack

FOLDER_TIME = 1_500_000_000


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def space(tmp_path: Path, root: None) -> Iterator[Path]:
    """A folder on a tmpfs where there is one: real images are large."""
    base = Path("/dev/shm")
    if not base.is_dir():
        yield tmp_path
        return
    path = base / f"pyrunc-test-{os.getpid()}"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def facts(top: Path) -> dict[str, tuple[object, ...]]:
    """All that can be known of every file, by name; files with several names by the first of them."""
    first: dict[int, str] = {}
    found: dict[str, tuple[object, ...]] = {}
    for above, folders, files in os.walk(top):
        folders.sort()
        for name in ["", *sorted(files + [f for f in folders if os.path.islink(os.path.join(above, f))])]:
            path = os.path.join(above, name) if name else above
            info = os.lstat(path)
            short = os.path.relpath(path, top)
            text = b""
            if stat.S_ISREG(info.st_mode):
                text = hashlib.sha256(Path(path).read_bytes()).digest()
            elif stat.S_ISLNK(info.st_mode):
                text = os.fsencode(os.readlink(path))
            attributes = {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
            }
            found[short] = (
                oct(info.st_mode), info.st_uid, info.st_gid, 0 if stat.S_ISDIR(info.st_mode) else info.st_size,
                info.st_mtime_ns, info.st_rdev, text, attributes, first.setdefault(info.st_ino, short),
            )  # fmt: skip
    return found


def differences(ours: Path, theirs: Path) -> list[str]:
    mine, other = facts(ours), facts(theirs)
    names = sorted(mine.keys() | other.keys())
    return [f"{name}: {mine.get(name)} is not {other.get(name)}" for name in names if mine.get(name) != other.get(name)]


def build_layers(space: Path) -> list[Path]:
    """Three layers out of a small real tree, written by tar: all kinds of files, then changes, then removals."""
    one, two, three = space / "1", space / "2", space / "3"
    for path in (
        one / "etc" / "deep",
        one / "usr" / "bin",
        one / "var" / "log",
        two / "etc",
        two / "usr" / "bin",
        three / "var",
    ):
        path.mkdir(parents=True)
    (one / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (one / "etc" / "deep" / "file").write_bytes(os.urandom(100_000))
    (one / "etc" / ("n" * 200)).write_text("long name")
    shutil.copy("/bin/true", one / "usr" / "bin" / "su")
    os.chmod(one / "usr" / "bin" / "su", 0o4755)
    os.link(one / "usr" / "bin" / "su", one / "usr" / "bin" / "sudo")
    os.setxattr(one / "usr" / "bin" / "su", "user.note", b"x")
    (one / "bin").symlink_to("usr/bin")
    (one / "abs").symlink_to("/etc/" + "t" * 150)
    os.mkfifo(one / "fifo")
    os.mknod(one / "null", 0o020666, os.makedev(1, 3))
    os.chown(one / "var" / "log", 33, 44)
    os.chmod(one / "var" / "log", 0o2775)
    with open(one / "var" / "sparse", "wb") as file:
        file.write(b"start")
        file.seek(10_000_000)
        file.write(b"end")
    (two / "etc" / "passwd").write_text("changed")
    (two / "usr" / "bin" / "new").write_text("new")
    os.chmod(two / "etc", 0o711)
    (three / ".wh.abs").touch()
    (three / "var" / ".wh.sparse").touch()
    for path in sorted(space.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            os.utime(path, (FOLDER_TIME, FOLDER_TIME))
    archives = []
    for number, folder in enumerate((one, two, three)):
        format = ("--format=gnu", "--format=posix", "--format=gnu")[number]
        archive = space / f"{number}.tar"
        run("tar", format, "--sparse", "--xattrs", "--numeric-owner", "-C", folder, "-cf", archive, ".")
        archives.append(archive)
    return archives


def make_image(space: Path, archives: list[Path]) -> str:
    """An image of these layers, made by umoci."""
    run("umoci", "init", "--layout", space / "layout")
    run("umoci", "new", "--image", f"{space / 'layout'}:it")
    for archive in archives:
        run("umoci", "raw", "add-layer", "--image", f"{space / 'layout'}:it", archive)
    return f"oci:{space / 'layout'}:it"


def extract_by_tar(archive: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    run("tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--exclude=.wh.*", "-C", target, "-xpf", archive)


@pytest.mark.root
def test_a_small_tree_is_as_tar_leaves_it(space: Path) -> None:
    """Layer by layer over one another, the whiteouts carried out by hand."""
    need("tar", "umoci")
    archives = build_layers(space)
    source = make_image(space, archives)

    unpack(source, str(space / "box"))

    for archive in archives:
        extract_by_tar(archive, space / "tar")
    (space / "tar" / "abs").unlink()
    (space / "tar" / "var" / "sparse").unlink()
    os.utime(space / "tar" / "var", (FOLDER_TIME, FOLDER_TIME))
    os.utime(space / "tar", (FOLDER_TIME, FOLDER_TIME))
    assert differences(space / "box" / "rootfs", space / "tar") == []


@pytest.mark.root
def test_a_small_tree_is_as_umoci_leaves_it(space: Path) -> None:
    """The other image tool reads the same layers to the same end."""
    need("tar", "umoci")
    source = make_image(space, build_layers(space))

    unpack(source, str(space / "box"))
    run("umoci", "raw", "unpack", "--image", source.removeprefix("oci:"), space / "umoci")

    assert differences(space / "box" / "rootfs", space / "umoci") == []


@pytest.mark.root
def test_copies_of_the_image_unpack_to_the_same(space: Path) -> None:
    """Whatever skopeo makes of it: another compression, an archive, one of Docker's."""
    need("tar", "umoci", "skopeo")
    source = make_image(space, build_layers(space))
    unpack(source, str(space / "box"))
    expected = facts(space / "box" / "rootfs")
    copies = {
        f"oci:{space / 'zstd'}:it": ["--dest-compress", "--dest-compress-format", "zstd"],
        f"oci-archive:{space / 'oci.tar'}:it": [],
        f"docker-archive:{space / 'docker.tar'}:box:it": [],
    }

    for number, (target, options) in enumerate(copies.items()):
        run("skopeo", "--insecure-policy", "copy", "-q", *options, source, target)
        unpack(target, str(space / f"copy{number}"))
        assert facts(space / f"copy{number}" / "rootfs") == expected, target


@pytest.mark.slow
@pytest.mark.root
def test_a_debian_system_is_as_tar_and_umoci_leave_it(space: Path) -> None:
    """A standard installation: 20000 files, devices, capabilities, links."""
    need("tar", "umoci", "mmdebstrap")
    archive = space / "debian.tar"
    made = subprocess.run(
        ["mmdebstrap", "-q", "--variant=standard", "bookworm", archive], capture_output=True, text=True
    )
    if made.returncode != 0:
        pytest.skip(f"mmdebstrap cannot install: {made.stderr[-200:]}")
    source = make_image(space, [archive])

    unpack(source, str(space / "box"))

    extract_by_tar(archive, space / "tar")
    assert differences(space / "box" / "rootfs", space / "tar") == []
    run("umoci", "raw", "unpack", "--image", source.removeprefix("oci:"), space / "umoci")
    assert differences(space / "box" / "rootfs", space / "umoci") == []
    assert len(facts(space / "tar")) > 10_000
