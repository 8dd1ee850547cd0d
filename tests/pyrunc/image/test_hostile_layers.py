"""What layers cannot do: names that want out, numbers that wrap around, rights that are not there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pyrunc.image.apply import clean
from pyrunc.specs.errors import Failure, Invalid, PyruncError
from tests.pyrunc.image.conftest import Rootfs
from tests.pyrunc.image.tars import archive, file, folder, hardlink, header, pax, symlink

# -- names that want out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lands"),
    [
        (b"/abs", "abs"),
        (b"//abs//x", "abs/x"),
        (b"../up", "up"),
        (b"../../../up", "up"),
        (b"a/../../b", "b"),
        (b"./a/./b", "a/b"),
        (b"a/b/..", "a"),
        (b"/../x/../y", "y"),
    ],
)
def test_names_are_cleaned_below_the_root(rootfs: Rootfs, name: bytes, lands: str) -> None:
    """Absolute names and ".." end at the root."""
    rootfs.apply(archive(file(name, b"x")))

    assert rootfs.read(lands) == b"x"


@pytest.mark.parametrize(
    "target", ["{outside}", "../../outside", "/../../../../../../../../..{outside}", "l2", "/proc/self/cwd"]
)
def test_links_lead_only_inside(rootfs: Rootfs, target: str) -> None:
    """CVE-2021-32760 and its kin: a link, then names through it, in the same layer and in the next."""
    text = target.format(outside=rootfs.outside).encode()
    hostile = [file(b"l/secret", b"evil"), folder(b"l", mode=0o777), file(b"l/new", b"evil"), symlink(b"l/x/l", b"/")]
    for entry in hostile:
        try:
            rootfs.apply(
                archive(symlink(b"l2", str(rootfs.outside).encode()), symlink(b"l", text), entry, file(b"l/.wh.secret"))
            )
        except PyruncError:
            pass


def test_the_link_of_the_lexical_checkers(rootfs: Rootfs) -> None:
    """Each link by itself stays inside by its letters; together they lead out of whoever only reads letters."""
    rootfs.apply(
        archive(
            folder(b"d1/d2"), symlink(b"d1/d2/d3", b"."), symlink(b"q", b"d1/d2/d3/../../.."), file(b"q/EVIL", b"x")
        )
    )

    assert rootfs.read("EVIL") == b"x"


def test_hard_links_do_not_reach_outside(rootfs: Rootfs) -> None:
    """CVE-2026-4360, CVE-2026-11940: the target is a name of the root, even through links."""
    outside = os.fsencode(rootfs.outside)
    for target in (outside + b"/secret", b"../../outside/secret", b"l/secret", b"../outside/secret"):
        with pytest.raises(Invalid, match="not there"):
            rootfs.apply(archive(symlink(b"l", outside), hardlink(b"h", target)))
    assert (rootfs.outside / "secret").stat().st_nlink == 1


def test_a_hard_link_to_a_link_then_a_file_over_it(rootfs: Rootfs) -> None:
    """The file takes the link's place and is not written through it."""
    outside = os.fsencode(rootfs.outside / "secret")
    rootfs.apply(archive(symlink(b"l", outside), hardlink(b"h", b"l"), file(b"h", b"evil", mode=0o777)))

    assert rootfs.read("h") == b"evil"


def test_a_folder_swapped_for_a_link_while_its_handle_is_kept(rootfs: Rootfs) -> None:
    """CVE-2025-47290: what was resolved once may not be believed after a folder or link has gone."""
    rootfs.apply(
        archive(
            folder(b"a/b"),
            file(b"a/b/1"),
            file(b"a", b""),
            symlink(b"c/b", b"/d"),
            folder(b"d"),
            file(b"c/b/2"),
            symlink(b"c/b", b"/e"),
            folder(b"e"),
            file(b"c/b/3"),
        )
    )

    assert rootfs.tree() == {"a", "c", "c/b", "d", "d/2", "e", "e/3"}


@pytest.mark.parametrize("name", [b"/.", b".", b"./.", b"a/..", b"/../."])
@pytest.mark.parametrize("kind", [b"0", b"2", b"1", b"6", b"3"])
def test_the_root_can_only_be_a_folder(rootfs: Rootfs, name: bytes, kind: bytes) -> None:
    """CVE-2021-29136: a link in the place of the root would lead the next layers out."""
    with pytest.raises(Invalid):
        rootfs.apply(archive(header(name, kind, link=b"/etc")), archive(file(b"f")))
    assert stat.S_ISDIR(rootfs.path.lstat().st_mode)


def test_a_parent_that_is_a_file_is_an_error(rootfs: Rootfs) -> None:
    """An entry below a file is refused and named."""
    with pytest.raises(Failure, match=r"cannot unpack 'f/x': ENOTDIR"):
        rootfs.apply(archive(file(b"f"), file(b"f/x")))


def test_links_in_a_circle_are_an_error(rootfs: Rootfs) -> None:
    """Links that lead nowhere do not keep us going."""
    with pytest.raises(Failure, match="ELOOP"):
        rootfs.apply(archive(symlink(b"a", b"b"), symlink(b"b", b"a"), file(b"a/x")))


def test_a_dangling_link_as_parent_is_made_inside(rootfs: Rootfs) -> None:
    """What such a link names is made below the root."""
    rootfs.apply(archive(symlink(b"l", b"/var/lib/x"), file(b"l/f", b"x")))

    assert rootfs.read("var/lib/x/f") == b"x"


# -- numbers and limits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uid", "gid"), [(-1, 0), (2**32 - 1, 0), (0, 2**32 - 1), (2**32, 0), (0, -2)])
def test_owners_out_of_range_are_refused(rootfs: Rootfs, uid: int, gid: int) -> None:
    """-1 would mean "leave it to root"; larger ones would wrap around."""
    with pytest.raises(Invalid, match="out of range"):
        rootfs.apply(archive(file(b"f", uid=uid, gid=gid)))


@pytest.mark.parametrize(("major", "minor"), [(4096, 0), (1, 1 << 20), (-1, 3), (1, -1), (2**40, 3)])
def test_device_numbers_out_of_range_are_refused(rootfs: Rootfs, major: int, minor: int) -> None:
    """The kernel would cut them down to another device's."""
    with pytest.raises(Invalid, match="device number"):
        rootfs.apply(archive(header(b"d", b"3", major=major, minor=minor)))


def test_times_out_of_range_are_refused(rootfs: Rootfs) -> None:
    """A time that no clock can show is no time."""
    with pytest.raises(Invalid, match="out of range"):
        rootfs.apply(archive(pax((b"mtime", b"9" * 20)) + file(b"f")))


def test_names_that_are_too_deep_are_refused(rootfs: Rootfs) -> None:
    """Depth has a limit of its own below that of a path's length."""
    with pytest.raises(Invalid, match="deep"):
        rootfs.apply(archive(pax((b"path", b"a/" * 300 + b"f")) + file(b"f")))


def test_a_name_that_the_kernel_refuses_is_named(rootfs: Rootfs) -> None:
    """The kernel's limits are reported as the kernel reports them."""
    with pytest.raises(Failure, match=r"cannot unpack 'xxx.*ENAMETOOLONG"):
        rootfs.apply(archive(pax((b"path", b"x" * 256)) + file(b"f")))


def test_a_link_to_nothing_is_refused(rootfs: Rootfs) -> None:
    """A symbolic link has a text."""
    with pytest.raises(Invalid, match="link to nothing"):
        rootfs.apply(archive(symlink(b"l", b"")))


def test_clean() -> None:
    """Dots end at the root, as they do for the kernel in a changed root."""
    assert [clean(name) for name in (b"", b".", b"/", b"../..", b"a/./b//c/", b"a/../..", b"..a/b..")] == [
        b"",
        b"",
        b"",
        b"",
        b"a/b/c",
        b"",
        b"..a/b..",
    ]


# -- without privileges ----------------------------------------------------------------------------------------------


def test_without_privileges(rootfs: Rootfs) -> None:
    """Owners stay ours, devices become empty files of mode 0, folders that lock us out get their mode at the end."""
    lower = archive(
        folder(b"locked", mode=0o555, uid=5),
        file(b"locked/f", b"x", uid=7),
        header(b"null", b"3", major=1, minor=3, mode=0o666),
        pax((b"SCHILY.xattr.trusted.a", b"1")) + folder(b"t"),
        folder(b"none", mode=0o0),
        file(b"none/f"),
        header(b"p", b"6"),
    )
    upper = archive(
        file(b"locked/g"), file(b"none/.wh.f"), hardlink(b"h", b"locked/f"), folder(b"gone", mode=0), file(b".wh.gone")
    )
    os.chown(rootfs.path, 65534, 65534)
    handle = os.open(rootfs.path, os.O_PATH | os.O_DIRECTORY)  # the folders above may be closed to others
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            rootfs.apply(lower, upper, rootless=True, handle=handle)
            status = 0 if rootfs.warnings else 2
        finally:
            os._exit(status)
    os.close(handle)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    null = rootfs.stat("null")
    assert stat.S_ISREG(null.st_mode) and (rootfs.mode("null"), null.st_size) == (0, 0)
    assert (rootfs.mode("locked"), rootfs.mode("none"), rootfs.stat("locked").st_uid) == (0o555, 0, 65534)
    assert rootfs.tree() == {"locked", "locked/f", "locked/g", "null", "t", "none", "p", "h", "gone"}


def test_root_of_a_user_namespace(rootfs: Rootfs, tmp_path: Path) -> None:
    """Ids that the namespace does not have are passed over, for owners and in access lists."""
    acl = b"\x02\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + permission.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, permission, who in (
            (1, 7, 2**32 - 1),
            (4, 5, 2**32 - 1),
            (8, 5, 999),
            (16, 5, 2**32 - 1),
            (32, 5, 2**32 - 1),
        )
    )
    layer = archive(
        pax((b"SCHILY.xattr.system.posix_acl_access", acl)) + folder(b"d", uid=7),
        file(b"f", uid=5, gid=6),
        header(b"null", b"3", major=1, minor=3),
    )
    (tmp_path / "box" / "layer").write_bytes(layer)
    code = """if True:
        import os, sys
        from pyrunc.image.apply import Applier
        from pyrunc.image.tarread import Reader
        root = os.open(sys.argv[1], os.O_PATH)
        applier = Applier(root, True, print)
        applier.layer(Reader(iter([open(sys.argv[2], "rb").read()])))
        applier.finish()
    """
    command = ["unshare", "-Ur", sys.executable, "-c", code, str(rootfs.path), str(tmp_path / "box" / "layer")]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    (tmp_path / "box" / "layer").unlink()

    assert done.returncode == 0, done.stderr
    assert "posix_acl_access" in done.stdout
    assert rootfs.tree() == {"d", "f", "null"}
    assert (rootfs.stat("f").st_uid, stat.S_ISREG(rootfs.stat("null").st_mode)) == (0, True)
