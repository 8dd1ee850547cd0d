"""Users and groups of an image: from its own files, which may be anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc.image.users import LIMIT_FILE, resolve
from pyrunc.specs.errors import Invalid

PASSWD = """root:x:0:0:root:/root:/bin/sh
# comment:x:9:9
broken
daemon:x:1:1:daemon:/:/sbin/nologin
alice:x:1000:1001:Alice:/home/alice:/bin/sh\r
1234:x:5555:5555:a name of digits:/:/bin/sh
wrap:x:4294967296:0::/:/bin/sh
minus:x:-1:0::/:/bin/sh
last:x:7:8::/:/bin/sh"""
GROUP = """root:x:0:
bin:x:2:root,daemon
staff:x:50:alice,bob
audio:x:29:alice
main:x:1001:alice
huge:x:99999999999:
short:x
"""

Who = Callable[[str], tuple[int, int, tuple[int, ...]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "passwd").write_text(PASSWD, newline="")
    (tmp_path / "root" / "etc" / "group").write_text(GROUP)
    return tmp_path / "root"


@pytest.fixture
def who(root: Path) -> Who:
    def ask(user: str) -> tuple[int, int, tuple[int, ...]]:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            found = resolve(user, fd)
        finally:
            os.close(fd)
        return found.uid, found.gid, found.additional_gids

    return ask


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, (2,))),
        ("root", (0, 0, (2,))),
        ("0", (0, 0, (2,))),
        ("alice", (1000, 1001, (29, 50))),
        ("1000", (1000, 1001, (29, 50))),
        ("alice:", (1000, 1001, (29, 50))),
        ("alice:staff", (1000, 50, ())),
        ("alice:77", (1000, 77, ())),
        ("1000:staff", (1000, 50, ())),
        ("5:6", (5, 6, ())),
        (":5", (0, 5, ())),
        ("31337", (31337, 0, ())),
        ("last", (7, 8, ())),
        ("2147483647:2147483647", (2147483647, 2147483647, ())),
        ("007", (7, 8, ())),
    ],
)
def test_every_form(who: Who, user: str, expected: tuple[int, int, tuple[int, ...]]) -> None:
    """Users and groups by name and number, and the groups that follow from them."""
    assert who(user) == expected


def test_a_number_is_never_a_name(who: Who) -> None:
    """CVE-2016-3697: an image may well have a user whose name is a number."""
    assert who("1234") == (1234, 0, ())


@pytest.mark.parametrize(
    "user",
    [
        "2147483648", "4294967295", "4294967296", "99999999999999999999", "-1", "+1", "0:2147483648", "0:4294967296",
        "0:-1", "wrap", "minus", "0:huge", "nobody", "0:nogroup", "alice:alice", "0x0", "1_0", "#", "\u0661", "a:b:c",
    ],
)  # fmt: skip
def test_what_is_out_of_range_or_unknown_is_refused(who: Who, user: str) -> None:
    """CVE-2024-40635, CVE-2026-46680: none of these may end as user 0."""
    with pytest.raises(Invalid):
        who(user)


def test_an_image_without_the_files(who: Who, root: Path) -> None:
    """Numbers need no files; names do."""
    (root / "etc" / "passwd").unlink()
    (root / "etc" / "group").unlink()

    assert who("") == (0, 0, ())
    assert who("12:13") == (12, 13, ())
    with pytest.raises(Invalid, match="not in the image"):
        who("root")


def test_links_lead_inside_the_root(who: Who, root: Path) -> None:
    """A link in the image is followed, but only within it."""
    (root.parent / "passwd").write_text("evil:x:0:0::/:/")
    (root / "etc" / "passwd").unlink()
    (root / "etc" / "passwd").symlink_to("../../../passwd")
    (root / "passwd").write_text("good:x:3:4::/:/")

    assert who("good") == (3, 4, ())
    with pytest.raises(Invalid):
        who("evil")


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_only_regular_files_are_opened(who: Who, root: Path, kind: str) -> None:
    """CVE-2024-9676: a fifo would hang whoever opens it."""
    path = root / "etc" / "passwd"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif os.geteuid() == 0:
        os.mknod(path, 0o020666, os.makedev(1, 5))
    else:
        pytest.skip("needs root")

    with pytest.raises(Invalid, match="not a regular file"):
        who("root")


def test_files_without_end_are_refused(who: Who, root: Path) -> None:
    """CVE-2026-47262: a sparse file costs an image nothing."""
    os.truncate(root / "etc" / "passwd", LIMIT_FILE + 1)

    with pytest.raises(Invalid, match="larger than"):
        who("root")


def test_bytes_that_are_no_text_do_no_harm(who: Who, root: Path) -> None:
    """A line that is no text is just not the one looked for."""
    (root / "etc" / "passwd").write_bytes(b"\xff\xfe:x:1:1::/:/\nme:x:3:4::/:/\n")

    assert who("me") == (3, 4, ())
