"""What the entries of a layer become: bytes, owners, modes, times, attributes."""

from __future__ import annotations

import os
import stat

import pytest

from tests.pyrunc.image.conftest import Rootfs
from tests.pyrunc.image.tars import archive, file, folder, hardlink, header, padded, pax, symlink

TIME = 1_600_000_000

# -- entries ---------------------------------------------------------------------------------------------------------


def test_files_have_their_bytes_owner_mode_and_time(rootfs: Rootfs) -> None:
    """A regular file is what its entry says."""
    rootfs.apply(archive(file(b"f", b"x" * 100_000, mode=0o640, uid=7, gid=8, mtime=TIME)))

    info = rootfs.stat("f")
    assert rootfs.read("f") == b"x" * 100_000
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns) == (0o640, 7, 8, TIME * 10**9)


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777, 0o6711, 0o0])
def test_special_mode_bits_survive_the_change_of_owner(rootfs: Rootfs, mode: int) -> None:
    """chown drops setuid and setgid, so the mode comes after it."""
    rootfs.apply(archive(file(b"f", b"x", mode=mode, uid=7, gid=8), folder(b"d", mode=mode, uid=7, gid=8)))

    assert (rootfs.mode("f"), rootfs.mode("d")) == (mode, mode)


def test_the_umask_of_the_caller_does_not_count(rootfs: Rootfs) -> None:
    """Modes are the entries' own, also those of folders that no entry describes."""
    old = os.umask(0o077)
    try:
        rootfs.apply(archive(file(b"made/f", mode=0o666), header(b"p", b"6", mode=0o666), folder(b"d", mode=0o777)))
    finally:
        os.umask(old)

    assert [rootfs.mode(name) for name in ("made", "made/f", "p", "d")] == [0o755, 0o666, 0o666, 0o777]


def test_a_setgid_folder_does_not_pass_on_its_group(rootfs: Rootfs) -> None:
    """What is made in a setgid folder has the group that its own entry says."""
    rootfs.apply(archive(folder(b"d", mode=0o2775, gid=9), file(b"d/f"), folder(b"d/e"), file(b"d/made/f")))

    assert [rootfs.stat(name).st_gid for name in ("d/f", "d/e", "d/made")] == [0, 0, 0]
    assert rootfs.mode("d/e") == 0o755


def test_symbolic_links_keep_their_text_owner_and_time(rootfs: Rootfs) -> None:
    """A link's text is not touched, wherever it leads; owner and time are the link's own."""
    rootfs.apply(archive(symlink(b"l", b"../../outside/secret", uid=5, gid=6, mtime=TIME), symlink(b"a", b"/nowhere")))

    info = rootfs.stat("l")
    assert os.readlink(rootfs.path / "l") == "../../outside/secret"
    assert (info.st_uid, info.st_gid, info.st_mtime) == (5, 6, TIME)
    assert os.readlink(rootfs.path / "a") == "/nowhere"


def test_hard_links_are_the_same_file(rootfs: Rootfs) -> None:
    """The second name brings no bytes and no attributes of its own."""
    rootfs.apply(
        archive(
            file(b"d/a", b"x", mode=0o600, uid=3), hardlink(b"b", b"./d/a", mode=0o777, uid=9), hardlink(b"c", b"/d/a")
        )
    )

    assert rootfs.stat("b").st_ino == rootfs.stat("d/a").st_ino == rootfs.stat("c").st_ino
    assert (rootfs.mode("d/a"), rootfs.stat("d/a").st_uid) == (0o600, 3)


def test_hard_links_to_symbolic_links(rootfs: Rootfs) -> None:
    """The link itself gets a second name, not what it leads to."""
    rootfs.apply(archive(symlink(b"l", b"/etc/passwd"), hardlink(b"m", b"l")))

    assert rootfs.stat("m").st_ino == rootfs.stat("l").st_ino
    assert os.readlink(rootfs.path / "m") == "/etc/passwd"


def test_hard_links_to_files_of_lower_layers(rootfs: Rootfs) -> None:
    """A target may come from any layer below."""
    rootfs.apply(archive(file(b"a", b"x")), archive(hardlink(b"b", b"a")))

    assert rootfs.stat("b").st_ino == rootfs.stat("a").st_ino


def test_a_hard_link_to_itself_changes_nothing(rootfs: Rootfs) -> None:
    """The file is not removed to make room for its own link."""
    rootfs.apply(archive(file(b"a", b"x"), hardlink(b"a", b"./a")))

    assert rootfs.read("a") == b"x"


def test_a_hard_link_replaces_what_is_there(rootfs: Rootfs) -> None:
    """A file or a whole folder makes room for the link."""
    rootfs.apply(
        archive(file(b"a", b"x"), file(b"b", b"y"), folder(b"c"), file(b"c/d")),
        archive(hardlink(b"b", b"a"), hardlink(b"c", b"a")),
    )

    assert rootfs.stat("b").st_ino == rootfs.stat("a").st_ino == rootfs.stat("c").st_ino


def test_fifos_and_devices(rootfs: Rootfs) -> None:
    """Special files have their kind, numbers, owner, mode and time."""
    rootfs.apply(
        archive(
            header(b"p", b"6", mode=0o622, uid=1),
            header(b"c", b"3", mode=0o666, major=1, minor=3, gid=2),
            header(b"b", b"4", mode=0o660, major=8, minor=1048575, mtime=TIME),
        )
    )

    p, c, b = (rootfs.stat(name) for name in "pcb")
    assert stat.S_ISFIFO(p.st_mode) and (rootfs.mode("p"), p.st_uid) == (0o622, 1)
    assert stat.S_ISCHR(c.st_mode) and (os.major(c.st_rdev), os.minor(c.st_rdev), c.st_gid) == (1, 3, 2)
    assert stat.S_ISBLK(b.st_mode) and (os.major(b.st_rdev), os.minor(b.st_rdev), b.st_mtime) == (8, 1048575, TIME)


def test_parents_that_no_entry_describes(rootfs: Rootfs) -> None:
    """Missing parents are made for root with mode 0755."""
    rootfs.apply(archive(file(b"a/b/c/f", uid=5)))

    assert [(rootfs.mode(name), rootfs.stat(name).st_uid) for name in ("a", "a/b", "a/b/c")] == [(0o755, 0)] * 3


def test_the_root_has_attributes_too(rootfs: Rootfs) -> None:
    """An entry for the root describes the root file system's own folder."""
    rootfs.apply(archive(folder(b"./", mode=0o751, uid=4, mtime=TIME), file(b"f")))

    info = rootfs.path.lstat()
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_mtime) == (0o751, 4, TIME)


def test_sparse_files(rootfs: Rootfs) -> None:
    """The bytes are where the map says, the holes are holes, and the size is the real one."""
    records = (
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.name", b"s"),
        (b"GNU.sparse.realsize", b"50000000"),
    )
    rootfs.apply(archive(pax(*records) + file(b"x", padded(b"2\n4096\n3\n40000000\n2\n") + b"abcde", uid=3)))

    data = rootfs.read("s")
    assert (len(data), data[4096:4099], data[40000000:40000002], data.count(b"\0")) == (
        50_000_000,
        b"abc",
        b"de",
        49_999_995,
    )
    assert rootfs.stat("s").st_blocks * 512 < 1_000_000
    assert rootfs.stat("s").st_uid == 3


def test_duplicates_the_last_one_counts(rootfs: Rootfs) -> None:
    """Of two entries with one name the later one is what stays."""
    rootfs.apply(
        archive(
            file(b"f", b"first", mode=0o777),
            folder(b"d"),
            file(b"d/x"),
            file(b"f", b"2nd", mode=0o600),
            file(b"d", b"file now"),
        )
    )

    assert (rootfs.read("f"), rootfs.mode("f"), rootfs.read("d")) == (b"2nd", 0o600, b"file now")


def test_names_are_bytes(rootfs: Rootfs) -> None:
    """Names need not be text in any encoding."""
    rootfs.apply(archive(file(b"\xff\xfe\n", b"x"), file(b"a b\\c", b"y")))

    assert sorted(os.listdir(os.fsencode(rootfs.path))) == [b"a b\\c", b"\xff\xfe\n"]


# -- times -----------------------------------------------------------------------------------------------------------


def test_folders_keep_their_times_whatever_is_put_into_them(rootfs: Rootfs) -> None:
    """A folder's time is its entry's, although entries follow that are put into it."""
    rootfs.apply(
        archive(
            folder(b"d", mtime=TIME), *(file(b"d/%d" % i) for i in range(10)), folder(b"d/e", mtime=5), file(b"d/e/f")
        )
    )

    assert (rootfs.stat("d").st_mtime, rootfs.stat("d/e").st_mtime) == (TIME, 5)


def test_folders_keep_their_times_when_many_are_open(rootfs: Rootfs) -> None:
    """More folders than handles are kept."""
    count = 300
    rootfs.apply(
        archive(*(folder(b"%d" % i, mtime=i) for i in range(count)), *(file(b"%d/f" % i) for i in range(count)))
    )

    assert [rootfs.stat(str(i)).st_mtime for i in range(count)] == list(range(count))


def test_folders_of_lower_layers_keep_their_times(rootfs: Rootfs) -> None:
    """A whiteout, a new file, a replaced one: the folder's entry is in a lower layer, and so is its time."""
    lower = archive(
        *(folder(name, mtime=TIME) for name in (b"a", b"b", b"c", b"o")), file(b"a/f"), file(b"c/f"), file(b"o/f")
    )
    rootfs.apply(lower, archive(file(b"a/.wh.f"), file(b"b/new"), file(b"c/f", b"x"), file(b"o/.wh..wh..opq")))

    assert [rootfs.stat(name).st_mtime for name in "abco"] == [TIME] * 4


def test_a_folder_does_not_get_the_time_of_one_that_has_gone(rootfs: Rootfs) -> None:
    """The kernel may give a new folder the number of the old one."""
    old = [folder(b"a", mtime=5), *(folder(b"a/%d" % i, mtime=5) for i in range(20))]
    rootfs.apply(archive(*old, file(b"a"), *(file(b"%d/f" % i) for i in range(20))))

    assert all(rootfs.stat(str(i)).st_mtime > TIME for i in range(20))


def test_one_folder_by_two_paths_has_one_time(rootfs: Rootfs) -> None:
    """A link to a folder does not make a second folder of it."""
    rootfs.apply(
        archive(folder(b"d", mtime=TIME), symlink(b"l", b"d")), archive(file(b"d/a"), file(b"l/b"), file(b"d/c"))
    )

    assert rootfs.tree() == {"d", "l", "d/a", "d/b", "d/c"}
    assert rootfs.stat("d").st_mtime == TIME


@pytest.mark.parametrize("value", [b"0", b"-1.5", b"12345.987654321", b"4000000000"])
def test_times_to_the_nanosecond(rootfs: Rootfs, value: bytes) -> None:
    """Fractions, times before the epoch and times beyond 2038 arrive as they are."""
    rootfs.apply(archive(pax((b"mtime", value)) + file(b"f")))

    assert rootfs.stat("f").st_mtime_ns == round(float(value) * 10) * 10**8 if b"9876" not in value else 12345987654321


# -- extended attributes ---------------------------------------------------------------------------------------------

CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def attribute(name: bytes, value: bytes) -> bytes:
    return pax((b"SCHILY.xattr." + name, value))


def test_file_capabilities_survive_the_change_of_owner(rootfs: Rootfs) -> None:
    """chown drops them, so they are set after it."""
    rootfs.apply(archive(attribute(b"security.capability", CAPABILITY) + file(b"ping", b"x", uid=5, mode=0o755)))

    assert os.getxattr(rootfs.path / "ping", "security.capability") == CAPABILITY
    assert rootfs.mode("ping") == 0o755


def test_attributes_of_every_kind_of_entry(rootfs: Rootfs) -> None:
    """Attributes are set on files, folders, links and fifos alike, with any bytes."""
    one = attribute(b"trusted.a", b"1\0")
    rootfs.apply(archive(one + file(b"f"), one + folder(b"d"), one + symlink(b"l", b"f"), one + header(b"p", b"6")))

    assert [os.getxattr(rootfs.path / name, "trusted.a", follow_symlinks=False) for name in "fdlp"] == [b"1\0"] * 4


def test_attributes_that_do_not_belong_to_an_image(rootfs: Rootfs) -> None:
    """Labels of the builder's machine, and what would make an overlay mount hide or move files."""
    names = (b"security.selinux", b"system.nfs4_acl", b"trusted.overlay.opaque", b"user.overlay.redirect", b"user.kept")
    rootfs.apply(archive(pax(*((b"SCHILY.xattr." + name, b"y") for name in names)) + folder(b"d")))

    assert os.listxattr(rootfs.path / "d") == ["user.kept"]


def test_stale_attributes_of_a_folder_go(rootfs: Rootfs) -> None:
    """A folder over a folder has the attributes of the new entry alone."""
    rootfs.apply(
        archive(attribute(b"user.old", b"1") + folder(b"d"), file(b"d/f")),
        archive(attribute(b"user.new", b"2") + folder(b"d")),
    )

    assert os.listxattr(rootfs.path / "d") == ["user.new"]
    assert rootfs.tree() == {"d", "d/f"}


def test_stale_attributes_go_when_there_are_no_new_ones(rootfs: Rootfs) -> None:
    """A folder over a folder loses its attributes to an entry without any."""
    rootfs.apply(archive(attribute(b"user.old", b"1") + folder(b"d")), archive(folder(b"d")))

    assert os.listxattr(rootfs.path / "d") == []


def test_default_acls_are_not_inherited(rootfs: Rootfs) -> None:
    """A default ACL belongs to the folder that has it; entries below say all about themselves."""
    acl = b"\x02\0\0\0" + b"".join(
        tag.to_bytes(2, "little") + permission.to_bytes(2, "little") + who.to_bytes(4, "little")
        for tag, permission, who in (
            (1, 7, 2**32 - 1),
            (2, 7, 1000),
            (4, 5, 2**32 - 1),
            (16, 7, 2**32 - 1),
            (32, 5, 2**32 - 1),
        )
    )
    rootfs.apply(
        archive(
            attribute(b"system.posix_acl_default", acl) + folder(b"d"), file(b"d/f"), folder(b"d/e"), file(b"d/made/x")
        )
    )

    assert os.listxattr(rootfs.path / "d") == ["system.posix_acl_default"]
    assert [os.listxattr(rootfs.path / name) for name in ("d/f", "d/e", "d/made")] == [[], [], []]


def test_attributes_that_cannot_be_set_are_a_warning(rootfs: Rootfs) -> None:
    """The kernel allows no user attributes on links, and no file system knows com.apple."""
    rootfs.apply(
        archive(attribute(b"user.a", b"1") + symlink(b"l", b"x"), attribute(b"com.apple.x", b"1") + file(b"f"))
    )

    assert len(rootfs.warnings) == 2
    assert rootfs.tree() == {"l", "f"}
