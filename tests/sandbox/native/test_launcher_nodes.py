"""Nodes, links, /dev/null and covers: each operation's effect seen from inside, each refusal by errno and detail."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc.sandbox import protocol
from pyrunc.sandbox.plan import op
from tests.sandbox.native.harness import NEWNS, NEWPID, NEWUSER, PROC, Message, Result, container, mount, shell

Run = Callable[..., Result]
Refusal = Callable[..., Message]
Mounts = Callable[..., dict[str, tuple[str, str, str]]]
USER = NEWUSER | NEWNS | NEWPID


# -- nodes -------------------------------------------------------------------------------------------------------------


def test_mknod(run: Run, rootfs: Path) -> None:
    """Type, numbers, mode and owner are those asked for, whatever the umask."""
    old = os.umask(0o077)
    operations = [
        op("mknod", "", 0o20666, 1, 5, 7, 8, "/dev/zero"),
        op("mknod", "", 0o60640, 0xFFF, 0xFFFFF, 0, 0, "/dev/block"),
        op("mknod", "", 0o10600, 0, 0, 1, 1, "/new/fifo"),
    ]
    try:
        result = run(container(rootfs, ["/bin/true"], operations))
    finally:
        os.umask(old)
    nodes = [(rootfs / name).stat() for name in ("dev/zero", "dev/block", "new/fifo")]

    assert result.failure is None
    assert [(n.st_mode, n.st_uid, n.st_gid) for n in nodes] == [(0o20666, 7, 8), (0o60640, 0, 0), (0o10600, 1, 1)]
    assert [n.st_rdev for n in nodes[:2]] == [os.makedev(1, 5), os.makedev(0xFFF, 0xFFFFF)]


def test_mknod_that_exists(run: Run, refusal: Refusal, rootfs: Path) -> None:
    """exists_ok takes the same device and refuses another one, and anything that is no device."""
    node = op("mknod", "", 0o20666, 1, 5, 0, 0, "/dev/zero", tolerate="exists_ok")
    assert run(container(rootfs, ["/bin/true"], [node])).status == 0
    assert run(container(rootfs, ["/bin/true"], [node])).status == 0
    (rootfs / "dev/zero").unlink()
    (rootfs / "dev/zero").symlink_to("/work/other")

    failure = refusal([node])

    assert (failure.a, failure.detail) == (17, protocol.DETAIL_EXISTS_DIFFERENT)
    assert not (rootfs / "work/other").exists()


def test_bind_device(run: Run, refusal: Refusal, rootfs: Path) -> None:
    """In a user namespace the host's node is bound, and only if it is the device that was asked for."""
    good = op("bind_device", "", 0o20666, 1, 5, "/dev/zero", "/dev/zero")
    output = run(container(rootfs, ["/bin/stat", "-c", "%F %t:%T", "/dev/zero"], [good], flags=USER)).output
    assert output == "character special file 1:5\n"

    failure = refusal([op("bind_device", "", 0o20666, 1, 3, "/dev/null", "/dev/zero")], flags=USER)
    assert (failure.a, failure.detail) == (0, protocol.DETAIL_OTHER_DEVICE)


def test_dev_that_leads_out(run: Run, rootfs: Path, tmp_path: Path) -> None:
    """/dev that is a link of the image is resolved inside: nothing appears on the host (CVE-2026-41579)."""
    (rootfs / "dev").rmdir()
    (rootfs / "dev").symlink_to(str(tmp_path))
    operations = [op("mknod", "", 0o20666, 1, 3, 0, 0, "/dev/null"), op("symlink", "", "/dev/fd", "/proc/self/fd")]

    result = run(container(rootfs, ["/bin/true"], operations))

    assert result.failure is None
    assert sorted(item.name for item in tmp_path.iterdir()) == ["rootfs"]
    assert (rootfs / str(tmp_path)[1:] / "null").exists()


def test_symlink_that_exists(run: Run, refusal: Refusal, rootfs: Path) -> None:
    """exists_ok leaves a link of the image as it is and refuses a file in its place."""
    link = op("symlink", "", "/dev/fd", "/proc/self/fd", tolerate="exists_ok")
    (rootfs / "dev/fd").symlink_to("elsewhere")
    assert run(container(rootfs, ["/bin/true"], [link])).status == 0
    assert os.readlink(rootfs / "dev/fd") == "elsewhere"
    (rootfs / "dev/fd").unlink()
    (rootfs / "dev/fd").touch()

    assert refusal([link]).detail == protocol.DETAIL_EXISTS_DIFFERENT


def test_mkdir(run: Run, refusal: Refusal, rootfs: Path) -> None:
    """The mode is the one asked for; an existing folder is tolerated, an existing file is not."""
    folder = op("mkdir", "", 0o1770, "/a/b", tolerate="exists_ok")
    for _ in range(2):
        assert run(container(rootfs, ["/bin/true"], [folder])).status == 0
    assert [stat.S_IMODE((rootfs / name).stat().st_mode) for name in ("a", "a/b")] == [0o755, 0o1770]

    failure = refusal([op("mkdir", "", 0o755, "/etc/passwd", tolerate="exists_ok")])
    assert (failure.a, failure.detail) == (17, protocol.DETAIL_EXISTS_DIFFERENT)


def test_fresh_null(run: Run, rootfs: Path) -> None:
    """Streams that are the host's /dev/null become the container's; one that is a trap is refused."""
    node = op("mknod", "", 0o20666, 1, 3, 0, 0, "/dev/null")
    script = shell("stat -L -c %d /proc/self/fd/0 /dev/null")
    same = run(container(rootfs, script, [PROC, mount("/dev", "tmpfs"), node], [op("fresh_null", "")])).output.split()
    other = run(container(rootfs, script, [PROC, mount("/dev", "tmpfs"), node])).output.split()

    assert same[0] == same[1]
    assert other[0] != other[1]


def test_fresh_null_refuses_another_device(refusal: Refusal) -> None:
    """/dev/null of the image with other numbers is no /dev/null (CVE-2025-31133)."""
    operations = [op("mknod", "", 0o20666, 1, 5, 0, 0, "/dev/null")]

    assert refusal(operations, [op("fresh_null", "")]).detail == protocol.DETAIL_NOT_NULL


# -- covers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [NEWNS | NEWPID, USER], ids=["root", "user namespace"])
def test_mask(run: Run, rootfs: Path, flags: int) -> None:
    """Files read as empty, folders are empty and read-only, links are followed inside, missing ones passed over."""
    (rootfs / "etc/link").symlink_to("/etc/passwd")
    masks = ["/etc/passwd", "/etc/passwd", "/bin/busybox", "/etc/link", "/work", "/tmp", "/no/such"]
    (rootfs / "work/file").write_text("seen")
    script = "echo; test -s /etc/passwd || echo empty; ls /work /tmp; touch /tmp/x || echo readonly"
    late = [op("mask", "", "null", path, tolerate="missing_ok") for path in masks if path != "/bin/busybox"]

    result = run(container(rootfs, shell(script), [PROC], late, flags=flags))

    assert result.failure is None
    assert result.output.split("\n")[1] == "empty"
    assert "seen" not in result.output and "file" not in result.output.split("\n")[2:4]
    assert result.output.rstrip().endswith("readonly")


def test_masked_file_does_not_give_away_the_hosts_null(run: Run, rootfs: Path) -> None:
    """The container's root cannot change the mode of the host's /dev/null through a mask."""
    before = stat.S_IMODE(os.stat("/dev/null").st_mode)
    plan = container(
        rootfs,
        shell("busybox chmod 000 /etc/passwd; echo x > /etc/passwd && echo written"),
        rootfs_phase=[op("mask", "", "null", "/etc/passwd")],
    )
    try:
        output = run(plan).output
        after = stat.S_IMODE(os.stat("/dev/null").st_mode)
    finally:
        os.chmod("/dev/null", before)

    assert after == before
    assert output.endswith("written\n")


@pytest.mark.parametrize("flags", [NEWNS | NEWPID, USER], ids=["root", "user namespace"])
def test_readonly(mounts: Mounts, flags: int) -> None:
    """A path becomes a read-only mount of itself with its flags; the mounts below it keep theirs."""
    late = [op("readonly", "", path, tolerate="missing_ok") for path in ("/proc/sys", "/work", "/no/such")]
    found = mounts([mount("/work/sub", "tmpfs")], late, flags=flags)

    assert found["/proc/sys"][0].startswith("ro,nosuid,nodev,noexec")
    assert found["/work"][0].startswith("ro,")
    assert found["/work/sub"][0].startswith("rw,")


def test_mask_of_a_missing_path_without_tolerance(refusal: Refusal) -> None:
    """A tolerance that is not given is not taken."""
    assert refusal([], [op("mask", "", "null", "/no/such")]).a == 2
