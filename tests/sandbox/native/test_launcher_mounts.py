"""Mounts: each operation's effect, seen from inside, and each refusal by errno and detail."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrunc.sandbox import protocol
from pyrunc.sandbox.plan import op
from tests.sandbox.native.harness import (
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    NEWNS,
    NEWPID,
    NEWUSER,
    NODEV,
    NOEXEC,
    NOSUID,
    PROC,
    RDONLY,
    Message,
    Result,
    bind,
    container,
    mount,
)

Run = Callable[..., Result]
Refusal = Callable[..., Message]
Mounts = Callable[..., dict[str, tuple[str, str, str]]]
USER = NEWUSER | NEWNS | NEWPID


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A folder of the host that is a shared mount with a second mount below it."""
    folder = tmp_path / "shared"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nosuid,nodev", "outer", folder], check=True)
    subprocess.run(["mount", "--make-shared", folder], check=True)
    (folder / "inner").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "inner", folder / "inner"], check=True)
    yield folder
    subprocess.run(["umount", "-R", "-l", folder], check=True)


# -- mount -------------------------------------------------------------------------------------------------------------


def test_mount_attributes_and_options(mounts: Mounts) -> None:
    """Attributes are the mount's, options the file system's."""
    found = mounts([mount("/work", "tmpfs", "size=64k", "mode=711", attr=RDONLY | NOSUID | NODEV | NOEXEC)])

    assert found["/work"] == ("ro,nosuid,nodev,noexec,relatime", "tmpfs", "rw,size=64k,mode=711")


def test_mount_makes_its_target(run: Run, rootfs: Path) -> None:
    """A missing target is made as a folder of mode 0755, with all that is above it, whatever the caller's umask."""
    old = os.umask(0o077)
    try:
        result = run(container(rootfs, ["/bin/true"], [mount("/a/b/c", "tmpfs")]))
    finally:
        os.umask(old)

    assert result.status == 0
    assert [stat.S_IMODE((rootfs / name).stat().st_mode) for name in ("a", "a/b", "a/b/c")] == [0o755] * 3


def test_tmpfs_inherits_the_mode_of_an_existing_folder(run: Run, rootfs: Path) -> None:
    """With inherit_mode the covered folder's mode is taken over; one that had to be made has none to give."""
    (rootfs / "work").chmod(0o2751)
    operations = [mount(target, "tmpfs", tolerate="inherit_mode") for target in ("/work", "/new")]

    output = run(container(rootfs, ["/bin/stat", "-c", "%a", "/work", "/new"], operations)).output

    assert output.split() == ["2751", "1777"]


def test_mount_propagation_comes_after(mounts: Mounts) -> None:
    """A propagation is applied to the mount itself."""
    assert "shared:" in mounts([mount("/work", "tmpfs", propagation=MS_SHARED)])["/work"][0]


def test_mount_option_that_is_refused(refusal: Refusal) -> None:
    """The failure names the option, its place in the list, and says what the file system said."""
    failure = refusal([mount("/work", "tmpfs", "size=1m", "nonsense=1")])

    assert (failure.a, failure.detail, failure.number) == (22, protocol.DETAIL_OPTION, 1)
    assert failure.text == "nonsense=1: tmpfs: Unknown parameter 'nonsense'"


def test_mount_of_unknown_type(refusal: Refusal) -> None:
    """A type that the kernel does not know is ENODEV."""
    assert refusal([mount("/work", "nonsensefs")]).a == 19


@pytest.mark.parametrize("target", ["/", "/../..", "/work/..", "/rootlink"])
def test_nothing_is_mounted_on_the_root(refusal: Refusal, rootfs: Path, target: str) -> None:
    """The root itself is no target, however it is written."""
    (rootfs / "rootlink").symlink_to("/")

    assert refusal([mount(target, "tmpfs")]).detail == protocol.DETAIL_TARGET_IS_ROOT


@pytest.mark.parametrize("how", ["link", "link above", "file"])
def test_ordinary_folder(refusal: Refusal, rootfs: Path, how: str) -> None:
    """/proc that is a link or a file is refused (CVE-2023-27561, CVE-2023-28642)."""
    target = "/proc"
    (rootfs / "proc").rmdir()
    if how == "link":
        (rootfs / "proc").symlink_to("work")
    elif how == "file":
        (rootfs / "proc").touch()
    else:
        (rootfs / "up").symlink_to("work")
        (rootfs / "work" / "proc").mkdir()
        target = "/up/proc"
    failure = refusal([mount(target, "proc", tolerate="ordinary_folder")])

    assert (failure.a, failure.detail, failure.text) == (0, protocol.DETAIL_NOT_ORDINARY_FOLDER, target)


@pytest.mark.parametrize("link", ["/outside", "../../../../../../outside", "/deep/../outside"])
def test_links_of_the_image_stay_inside(run: Run, rootfs: Path, tmp_path: Path, link: str) -> None:
    """A dangling link as a target is followed inside the root: nothing is made outside (CVE-2024-45310)."""
    (rootfs / "link").symlink_to(link)

    result = run(container(rootfs, ["/bin/true"], [mount("/link/sub", "tmpfs"), bind("/link/file", "/etc/hostname")]))

    assert result.failure is None
    assert (rootfs / "outside/sub").is_dir()
    assert (rootfs / "outside/file").is_file()
    assert not Path("/outside").exists() and not (tmp_path / "outside").exists()


def test_mount_legacy(mounts: Mounts, rootfs: Path, tmp_path: Path) -> None:
    """Options too long for fsconfig(2) go through mount(2), onto the handle of the target."""
    lower = [tmp_path / (f"layer{index}" + "x" * 60) for index in range(5)]
    for folder in lower:
        folder.mkdir()
    (rootfs / "link").symlink_to("work")
    data = "lowerdir=" + ":".join(map(str, lower))

    found = mounts([op("mount_legacy", "", NOSUID, MS_PRIVATE, "/link", "overlay", "overlay", data)])

    assert found["/work"][:2] == ("rw,nosuid,relatime", "overlay")


def test_mount_legacy_keeps_the_working_directory(run: Run, rootfs: Path) -> None:
    """The detour by way of procfs leaves no trace: the host's folder or procfs is not the container's."""
    operations = [op("mount_legacy", "", 0, 0, "/work", "tmpfs", "tmpfs", "size=1m")]
    plan = container(rootfs, ["/bin/readlink", "/proc/self/cwd"], [PROC, *operations])

    assert run(plan).output == "/\n"


STORM = """
import ctypes, os, sys
library = ctypes.CDLL(None)
one, other, run = (path.encode() for path in sys.argv[1:])
while os.path.exists(run):
    library.renameat2(-100, one, -100, other, 2)
"""


def test_exchanged_folders_do_not_lead_out(launcher: Path, run: Run, rootfs: Path, tmp_path: Path) -> None:
    """While a target's folder turns into a link and back, mounts land inside or fail, and nothing is made outside
    (CVE-2021-30465)."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (rootfs / "storm").mkdir()
    (rootfs / "trap").symlink_to(outside)
    (tmp_path / "run").touch()
    arguments = [str(rootfs / "storm"), str(rootfs / "trap"), str(tmp_path / "run")]
    attacker = subprocess.Popen([sys.executable, "-c", STORM, *arguments])
    operations = [
        mount("/storm/a", "tmpfs"),
        bind("/storm/b", "/proc/sys/kernel/ostype"),
        op("mkdir", "", 0o755, "/storm/c", tolerate="exists_ok"),
        op("mknod", "", 0o20666, 1, 5, 0, 0, "/storm/d", tolerate="exists_ok"),
    ]
    seen = set()
    try:
        for _ in range(60):
            result = run(container(rootfs, ["/bin/cat", "/proc/self/mountinfo"], [PROC, *operations]))
            seen.add(result.failure.detail if result.failure else "done")
            points = [line.split()[4] for line in result.output.splitlines()]
            assert all(point.startswith(("/storm/", "/trap/", "/tmp/", "/proc")) or point == "/" for point in points), (
                points
            )
    finally:
        (tmp_path / "run").unlink()
        attacker.wait(10)

    assert list(outside.iterdir()) == []
    assert "done" in seen


# -- bind --------------------------------------------------------------------------------------------------------------


def test_bind_is_recursive_or_not(mounts: Mounts, shared: Path) -> None:
    """Without recursion the mounts below a source stay away."""
    assert "/work/inner" not in mounts([bind("/work", str(shared))])
    assert "/work/inner" in mounts([bind("/work", str(shared), recursive=1)])


def test_bind_flags_of_the_top_and_of_all(mounts: Mounts, shared: Path) -> None:
    """`set` and `clear` change the top mount alone, the recursive ones all; what is not named stays."""
    found = mounts([bind("/work", str(shared), recursive=1, set=RDONLY, clear=NOSUID, rec_set=NOEXEC)])

    assert found["/work"][0].startswith("ro,nodev,noexec,relatime")
    assert found["/work/inner"][0].startswith("rw,noexec,relatime")


def test_bind_atime_replaces_atime(mounts: Mounts, shared: Path) -> None:
    """An atime value needs the whole field cleared, also when the plan does not say so."""
    assert "noatime" in mounts([bind("/work", str(shared), set=0x10)])["/work"][0]
    strict = mounts([bind("/work", str(shared), rec_set=0x20)])["/work"][0]
    assert "noatime" not in strict and "relatime" not in strict


def test_bind_propagation(mounts: Mounts, shared: Path) -> None:
    """A recursive propagation reaches all mounts of the tree, a plain one the top."""
    found = mounts([bind("/work", str(shared), recursive=1, propagation=MS_SHARED | MS_REC)])
    assert "shared:" in found["/work"][0] and "shared:" in found["/work/inner"][0]
    found = mounts([bind("/work", str(shared), recursive=1, propagation=MS_PRIVATE | MS_REC)])
    assert "master:" not in found["/work"][0] + found["/work/inner"][0]


def test_bind_does_not_reach_the_host(run: Run, rootfs: Path, shared: Path) -> None:
    """What is mounted in the container below a bound tree of the host stays in the container."""
    run(container(rootfs, ["/bin/true"], [bind("/work", str(shared), recursive=1), mount("/work/new", "tmpfs")]))

    assert not any(str(shared / "new") in line for line in Path("/proc/self/mountinfo").read_text().splitlines())


def test_bind_of_a_file_makes_a_file(run: Run, rootfs: Path) -> None:
    """The target of a file is an empty file, made with the folders above it."""
    result = run(container(rootfs, ["/bin/cat", "/new/name"], [bind("/new/name", "/proc/sys/kernel/ostype")]))

    assert result.output == "Linux\n"
    assert (rootfs / "new/name").is_file() and (rootfs / "new/name").stat().st_size == 0


def test_bind_of_a_missing_source(refusal: Refusal) -> None:
    """The failure says that it was the source."""
    failure = refusal([bind("/work", "/no/such/source")])

    assert (failure.a, failure.detail, failure.text) == (2, protocol.DETAIL_SOURCE, "/no/such/source")


def test_bind_of_a_missing_source_can_be_tolerated(mounts: Mounts) -> None:
    """With missing_ok there is no mount and no failure."""
    assert "/work" not in mounts([bind("/work", "/no/such/source", tolerate="missing_ok")])


def test_bind_locked_flags(refusal: Refusal, shared: Path) -> None:
    """Clearing nodev of a host mount inside a user namespace is EPERM with its own detail."""
    failure = refusal([bind("/work", str(shared), recursive=1, clear=NODEV)], flags=USER)

    assert (failure.a, failure.detail) == (1, protocol.DETAIL_LOCKED_FLAGS)


def test_bind_with_flags_in_a_user_namespace(mounts: Mounts, shared: Path) -> None:
    """Adding flags keeps those that are locked."""
    found = mounts([bind("/work", str(shared), recursive=1, set=RDONLY)], flags=USER)

    assert found["/work"][0].startswith("ro,nosuid,nodev,relatime")


def test_bind_source_on_an_earlier_mount(run: Run, rootfs: Path) -> None:
    """Mounts happen in their order: a source may lie on one made just before."""
    operations = [
        mount("/work", "tmpfs"),
        op("mkdir", "", 0o755, "/work/sub"),
        bind("/tmp", str(rootfs / "work/sub")),
        op("symlink", "", "/tmp/link", "x"),
    ]
    assert run(container(rootfs, ["/bin/readlink", "/work/sub/link"], operations)).output == "x\n"


# -- changes of mounts -------------------------------------------------------------------------------------------------


def test_set_attr_acts_on_the_slot(mounts: Mounts) -> None:
    """A mount that was filled can be made read-only by its slot, wherever it is by now."""
    operations = [mount("/work", "tmpfs", slot="m"), op("mkdir", "", 0o755, "/work/sub")]

    found = mounts(operations, [op("set_attr", "", "m", RDONLY, 0, 0, phase="rootfs")])

    assert found["/work"][0].startswith("ro,")


def test_remount(mounts: Mounts) -> None:
    """Flags of the mount and options of the file system are changed in place."""
    operations = [mount("/work", "tmpfs", "size=64k"), op("remount", "", RDONLY, 0, 0, "/work", ["size=128k"])]

    assert mounts(operations)["/work"] == ("ro,relatime", "tmpfs", "rw,size=128k")


def test_remount_needs_a_mount(refusal: Refusal) -> None:
    """A folder that is no mount is EINVAL."""
    assert refusal([op("remount", "", RDONLY, 0, 0, "/work", [])]).a == 22


def test_root_attr(mounts: Mounts) -> None:
    """The root becomes read-only and gets its propagation, also in a user namespace."""
    late = [op("root_attr", "", RDONLY, MS_SHARED)]

    assert mounts([], late)["/"][0].startswith("ro,relatime shared:")
    assert mounts([], late, flags=USER)["/"][0].startswith("ro,relatime shared:")
