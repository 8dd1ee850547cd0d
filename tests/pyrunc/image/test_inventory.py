"""The inventory of a root file system says of every file what lstat says, whoever has written its row."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from pyrunc.image import inventory

TYPES = {stat.S_IFREG: b"0", stat.S_IFLNK: b"2", stat.S_IFCHR: b"3", stat.S_IFDIR: b"5", stat.S_IFIFO: b"6"}
NAMES = [
    b"plain", b"with space", b'quote"', b"back\\slash", b"line\nfeed", b"\x7f", "ü".encode(), b"\xff\xfe", b"n" * 255,
]  # fmt: skip
TIMES = [0, -1, -1_500_000_000, 1_600_000_000_123_456_789, (1 << 33) * 1_000_000_000 + 1]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "many" / "deep").mkdir(parents=True)
    for number in range(2500):
        (top / "many" / f"file-{number}").touch()
    for number, name in enumerate(NAMES):
        path = os.path.join(os.fsencode(top), name)
        Path(os.fsdecode(path)).write_bytes(b"x" * number)
        os.symlink(name, path[:-1] + b"1")
        folder = path[:-1] + b"2"
        os.mkdir(folder, 0o1775)
        Path(os.fsdecode(folder), "below").touch(0o4711)
    for number, time in enumerate(TIMES):
        path = top / f"time-{number}"
        path.touch()
        os.utime(path, ns=(0, time))
    os.mkfifo(top / "fifo")
    os.link(top / "plain", top / "many/deep/hard")
    (top / "noted").touch()
    os.setxattr(top / "noted", "user.note", b"\xff")
    os.truncate(top / "noted", 1 << 40)
    return top


def described(path: bytes, owner: tuple[int, int] = (0, 0)) -> tuple[object, ...]:
    info = os.lstat(path)
    kind = TYPES[stat.S_IFMT(info.st_mode)]
    size = info.st_size if kind == b"0" else 0
    uid, gid = 0 if info.st_uid == owner[0] else info.st_uid, 0 if info.st_gid == owner[1] else info.st_gid
    link = os.readlink(path) if kind == b"2" else b""
    names = os.listxattr(path, follow_symlinks=False)
    xattrs = {os.fsencode(name): os.getxattr(path, name, follow_symlinks=False) for name in names}
    device = info.st_rdev if kind == b"3" else 0
    times = (info.st_mtime_ns, info.st_ino, info.st_ctime_ns)
    return (kind, stat.S_IMODE(info.st_mode), uid, gid, size, device, link, xattrs, *times)


def taken(top: Path, owner: tuple[int, int] = (0, 0)) -> dict[bytes, tuple[object, ...]]:
    warnings: list[str] = []
    handle = os.open(top, os.O_PATH)
    try:
        found = inventory.take(handle, warnings.append, owner)
    finally:
        os.close(handle)
    assert not warnings
    assert list(found) == sorted(found)
    return {
        path: (
            record.type, record.mode, record.uid, record.gid, record.size, record.device, record.link, record.xattrs,
            record.mtime, record.inode, record.ctime,
        )
        for path, record in found.items()
    }  # fmt: skip


def expected(top: Path, owner: tuple[int, int] = (0, 0)) -> dict[bytes, tuple[object, ...]]:
    start = os.fsencode(top)
    found = {b"": described(start, owner)}
    for above, folders, files in os.walk(start):
        for name in folders + files:
            path = os.path.join(above, name)
            found[os.path.relpath(path, start)] = described(path, owner)
    return found


def test_every_file(top: Path) -> None:
    """Nothing is missing and nothing is other: odd names, links, times before 1970 and beyond 2262, attributes."""
    found = taken(top)

    assert len(found) > 2500 + 4 * len(NAMES)
    assert found == expected(top)


def test_devices_and_owners(top: Path, root: None) -> None:
    """Devices have their numbers; the two ids that stand for root are written as root's, the others as they are."""
    os.mknod(top / "device", stat.S_IFCHR | 0o600, os.makedev(300, 70000))
    os.chown(top / "plain", 7, 8)
    os.chown(top / "fifo", 7, 8)
    os.chown(top / "many", 8, 7)

    assert taken(top, (7, 8)) == expected(top, (7, 8))
    assert taken(top) == expected(top)


def test_long_paths(tmp_path: Path) -> None:
    """Where one row is longer than what native code has room for, it is written all the same."""
    handle = os.open(tmp_path, os.O_RDONLY)
    names = []
    for number in range(250):
        names.append(f"{number:03}" + "d" * 252)
        os.mkdir(names[-1], dir_fd=handle)
        below = os.open(names[-1], os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    for number in range(20):
        os.close(os.open(str(number), os.O_WRONLY | os.O_CREAT, dir_fd=handle))
    os.close(handle)
    handle = os.open(tmp_path, os.O_RDONLY)
    rows = b",".join(inventory.rows(handle, lambda message: None))
    os.close(handle)
    subprocess.run(["rm", "-r", tmp_path / names[0]], check=True)  # who cleans up later may not get that deep

    paths = [row[0] for row in json.loads(b"[%b]" % rows)]
    assert len(paths) == len(set(paths)) == 1 + 250 + 20
    assert {path for path in paths if path.count("/") == 250} == {"/".join([*names, str(n)]) for n in range(20)}


def test_sockets(tmp_path: Path) -> None:
    """Sockets are left out, in words."""
    warnings: list[str] = []
    handle = os.open(tmp_path, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{handle}/socket")
        found = inventory.take(handle, warnings.append)
    os.close(handle)

    assert list(found) == [b""]
    assert warnings == ["sockets such as '/socket' are left out"]
