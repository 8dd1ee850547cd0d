"""Odd and hostile entries amid ordinary ones. Files are made by native code as long as they are ordinary, and by the
rules of `apply` from there on: nobody may be able to tell from what comes out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pyrunc.sandbox.plain import Maker
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.conftest import Rootfs
from tests.pyrunc.image.tars import archive, binary, file, folder, hardlink, header, long, padded, pax, symlink

NAMES = (
    b"d/x", b"./d/x", b"/d/x", b"//d//x", b"d/./x", b"d//x", b"../d/x", b"../../outside/secret", b"d/../d/x", b"d/..",
    b"d/../../x", b"d/.", b"d/", b"d", b"d/x/", b"d/.wh.first", b"d/.wh.", b"d/.wh...", b"d/.wh..wh..opq",
    b"d/.wh..wh.plnk", b".wh.d", b".wh..wh..opq", b"d/a.wh.b", b"d/.wh.first/x", b"D/x", b"d/FIRST", b"d/" + b"x" * 98,
    b"d/ ", b"d/\n", b"d/\x1b[2J", b"d/\xff\xfe", b"d/-rf", b"d/first", b"d/first/x", b"d/link", b"d/link/x",
    b"d/out/secret", b"out", b"", b"/", b".", b"..", b"d\\x", b"d/...", b"d/..x", b"./", b".//d/x", b"././d/x",
    b"/./d/x", b"d/x\0/../../y", b"dd/x", b"d/e/x", b"d/e", b"e",
)  # fmt: skip
KINDS = {"file": b"0", "old": b"\0", "hardlink": b"1", "symlink": b"2", "folder": b"5", "fifo": b"6"}

FIELDS = {
    "checksum-wrong": header(b"d/x", checksum=b"000001\0 "),
    "checksum-empty": header(b"d/x", checksum=b" " * 8),
    "checksum-letters": header(b"d/x", checksum=b"abcdefgh"),
    "contiguous": header(b"d/x", b"7"),
    "unknown-kind": header(b"d/x", b"Q"),
    "size-beyond-the-end": header(b"d/x", size=1 << 20),
    "size-of-octal-limit": header(b"d/x", size=b"77777777777\0"),
    "size-without-end": header(b"d/x", size=b"777777777777"),
    "size-base-256": header(b"d/x", size=binary(3, 12)) + padded(b"abc"),
    "size-negative": header(b"d/x", size=binary(-512, 12)),
    "size-wraps": header(b"d/x", size=b"\x80\0\0\0" + b"\xff" * 8),
    "size-decimal": header(b"d/x", size=b"00000000009\0"),
    "size-sign": header(b"d/x", size=b"-0000000512\0"),
    "size-plus": header(b"d/x", size=b"+0000000003\0") + padded(b"abc"),
    "size-hex": header(b"d/x", size=b"0x000000003\0"),
    "size-spaces": header(b"d/x", size=b"          3 ") + padded(b"abc"),
    "size-spaces-behind": header(b"d/x", size=b"3           ") + padded(b"abc"),
    "size-empty": header(b"d/x", size=b"\0" * 12),
    "size-after-nul": header(b"d/x", size=b"3\0" + b"7" * 10) + padded(b"abc"),
    "size-gap": header(b"d/x", size=b"1 2" + b"\0" * 9),
    "size-exact-block": file(b"d/x", b"x" * 512),
    "size-block-and-one": file(b"d/x", b"x" * 513),
    "mode-setuid": file(b"d/x", b"x", mode=0o6755, uid=5, gid=6),
    "mode-kind-bits": file(b"d/x", b"x", mode=0o120777),
    "mode-none": file(b"d/x", b"x", mode=0),
    "mode-letters": header(b"d/x", mode=b"rwxr-xr-"),
    "uid-largest": file(b"d/x", uid=2**32 - 2),
    "uid-minus-one": file(b"d/x", uid=2**32 - 1),
    "uid-beyond": file(b"d/x", uid=2**32),
    "uid-negative": file(b"d/x", uid=-1),
    "uid-octal-limit": file(b"d/x", uid=b"77777777"),
    "gid-largest": file(b"d/x", gid=2**32 - 2),
    "gid-minus-one": file(b"d/x", gid=2**32 - 1),
    "gid-letters": header(b"d/x", gid=b"root\0"),
    "time-zero": file(b"d/x", mtime=0),
    "time-negative": file(b"d/x", mtime=-5),
    "time-largest-octal": file(b"d/x", mtime=b"77777777777\0"),
    "time-beyond": file(b"d/x", mtime=2**62),
    "prefix": file(b"x", b"x", prefix=b"d"),
    "prefix-slash": file(b"x", prefix=b"d/"),
    "prefix-up": file(b"x", prefix=b"../outside"),
    "prefix-absolute": file(b"x", prefix=b"/d"),
    "prefix-whiteout": file(b"first", prefix=b"d/.wh."),
    "prefix-splits-whiteout": file(b"wh.first", prefix=b"d/."),
    "prefix-full": file(b"x", prefix=b"d/" + b"/" * 153),
    "prefix-of-gnu": file(b"d/x", prefix=b"z", magic=b"ustar  "),
    "prefix-of-star": file(b"x", prefix=b"d", magic=b"ustar\x0000", tail=b"d" + b"\0" * 162 + b"tar\0"),
    "prefix-of-v7": file(b"d/x", prefix=b"z", magic=b""),
    "prefix-alone": file(b"", prefix=b"d"),
    "name-full": file(b"d/" + b"n" * 98),
    "pax-path": pax((b"path", b"d/y")) + file(b"d/x"),
    "pax-up": pax((b"path", b"../../outside/secret")) + file(b"d/x", b"evil"),
    "pax-size": pax((b"size", b"3")) + header(b"d/x", size=0) + padded(b"abc"),
    "pax-time": pax((b"mtime", b"1.5")) + file(b"d/x"),
    "pax-xattr": pax((b"SCHILY.xattr.user.a", b"1")) + file(b"d/x", b"x"),
    "pax-nothing-after": pax((b"path", b"d/y")),
    "pax-twice": pax((b"path", b"d/y")) + pax((b"path", b"d/z")) + file(b"d/x"),
    "global-owner": pax((b"uid", b"7"), kind=b"g") + file(b"d/x"),
    "global-path": pax((b"path", b"d/y"), kind=b"g") + file(b"d/x"),
    "long-name": long(b"d/" + b"l" * 200) + file(b"d/x"),
    "long-name-up": long(b"../../outside/secret") + file(b"d/x", b"evil"),
    "long-name-twice": long(b"d/y") + long(b"d/z") + file(b"d/x"),
    "end-then-more": bytes(512),
    "end-then-all": bytes(1024) + file(b"d/x"),
    "header-of-ones": b"\xff" * 512,
    "header-of-spaces": b" " * 512,
    "link-named-in-a-file": header(b"d/x", b"0", link=b"/etc/passwd"),
    "folder-to-file": folder(b"d/e") + file(b"d/e", b"x") + file(b"d/e/f"),
    "folder-to-link-out": hardlink(b"d/h", b"d/out") + file(b"d/h/secret", b"evil"),
    "folder-swapped": file(b"d", b"x"),
    "folder-becomes-link": symlink(b"d", b"../outside") + file(b"d/secret", b"evil") + file(b"d/more", b"evil"),
    "folder-whited-out": file(b".wh.d") + file(b"d/secret"),
    "same-again": file(b"d/x", b"1") + file(b"d/x", b"2") + file(b"d/x", b"3"),
    "links-then-file": file(b"d/x", b"1") + hardlink(b"d/y", b"d/x") + file(b"d/x", b"2"),
    "acl-inherited": pax(
        (
            b"SCHILY.xattr.system.posix_acl_default",
            b"\x02\0\0\0" + b"".join(bytes((t, 0, 7, 0)) + b"\xff" * 4 for t in (1, 4, 32)),
        )
    )
    + folder(b"d")
    + file(b"d/x")
    + file(b"d/y"),
}
CASES = {
    **{f"{kind}-{name!r}": header(name, KINDS[kind], link=b"d/first") for kind in KINDS for name in NAMES},
    **FIELDS,
}


def described(root: Path) -> list[tuple[object, ...]]:
    """All that can be told of a tree."""
    found = []
    for path in sorted([root, *root.rglob("*")]):
        info = path.lstat()
        what: object = None
        if stat.S_ISREG(info.st_mode):
            what = path.read_bytes()
        elif stat.S_ISLNK(info.st_mode):
            what = os.readlink(path)
        names = os.listxattr(path, follow_symlinks=False)
        xattrs = [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]
        # What no entry describes, or not to its end, has the time of now.
        time = info.st_mtime_ns if info.st_mtime < 1_700_000_000 else 0
        owner = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink)
        found.append((str(path.relative_to(root)), owner, time, what, xattrs))
    return found


def outcome(place: Path, layer: bytes) -> tuple[str, list[tuple[object, ...]]]:
    """What is said, and what is there then; nothing outside has been touched."""
    rootfs = Rootfs(place)
    said = ""
    try:
        rootfs.apply(layer)
    except PyruncError as error:
        said = str(error)
    assert rootfs.look_outside() == rootfs.before, "something outside the root was changed"
    assert {path.name for path in place.iterdir()} == {"box", "outside"}
    assert [path.name for path in rootfs.path.parent.iterdir()] == ["rootfs"]
    return said, described(rootfs.path)


@pytest.mark.parametrize("case", CASES)
def test_nobody_can_tell_who_made_a_file(
    tmp_path: Path, root: None, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """With and without native code the same is made or the same is said, and nothing outside is touched."""
    before = [folder(b"d"), symlink(b"d/link", b"."), symlink(b"d/out", b"../../../outside"), file(b"d/first", b"1")]
    layer = archive(*before, CASES[case], file(b"d/last", b"last"), file(b"d/e/last"), file(b"d/end"))

    native = outcome(tmp_path / "native", layer)
    monkeypatch.setattr(Maker, "make", lambda *_: 0)
    python = outcome(tmp_path / "python", layer)

    assert native == python


def test_native_code_is_asked(tmp_path: Path, root: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary files, links and folders are made by it, all but the first, whatever folders they go back to."""
    made: list[bytes] = []
    real = Maker.make

    def counting(self: Maker, *values: object) -> int:
        taken = real(self, *values)  # type: ignore[arg-type]
        made.extend(self.names())
        return taken

    monkeypatch.setattr(Maker, "make", counting)
    members = [folder(b"d")]
    for number in range(200):
        deep = b"d/%d/e/" % number
        members += [folder(b"d/%d/" % number), folder(deep), file(deep + b"f", b"x" * number)]
        members += [symlink(deep + b"l", b"f"), file(b"./d/%d/last" % number)]
    said, _ = outcome(tmp_path, archive(*members))

    assert (said, len(made)) == ("", 1000)


def test_there_are_many() -> None:
    """At least two hundred, by the table alone."""
    assert len(CASES) >= 200


def test_names_that_do_not_fit_wait_for_the_next_run(tmp_path: Path, root: None) -> None:
    """The names of one run have a place of their own, which is not written beyond."""
    names = [b"d/%04d-%s" % (number, b"n" * 90) for number in range(1500)]
    said, found = outcome(tmp_path, archive(folder(b"d"), *(file(name) for name in names)))

    assert (said, len(found)) == ("", 1502)
