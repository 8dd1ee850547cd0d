"""What is written is read by everybody, and is the same every time."""

from __future__ import annotations

import gzip
import subprocess
import tarfile
from pathlib import Path

import pytest

from pyrunc.image.tarread import BLOCK_DEVICE, CHAR, FIFO, FOLDER, LINK, REGULAR, SYMLINK, Entry
from pyrunc.image.tarwrite import END, SECOND, compressed, entry, member
from pyrunc.specs.errors import Invalid
from tests.pyrunc.image.reading import read
from tests.pyrunc.image.test_same_as_others import need


def of(name: bytes, type: bytes = REGULAR, **values: object) -> Entry:
    made = entry(name, type)
    for key, value in values.items():
        setattr(made, key, value)
    return made


MEMBERS = [
    (of(b"etc/", FOLDER, mode=0o2755, mtime=1_600_000_000 * SECOND), b""),
    (of(b"etc/file", size=5, uid=1000, gid=100, mode=0o4755, mtime=5 * SECOND), b"hello"),
    (of(b"etc/block", size=512), b"x" * 512),
    (of(b"n" * 101, size=1, uid=3_000_000_000, gid=2_097_152), b"y"),
    (of(b"d/" * 120 + b"deep", mtime=-3 * SECOND), b""),
    (of("gr\u00fc\u00dfe".encode(), mtime=9_000_000_000 * SECOND), b""),
    (of(b"latin\xe9"), b""),
    (of(b"link", LINK, link=b"etc/file"), b""),
    (of(b"symlink", SYMLINK, link=b"t" * 300, mode=0o777), b""),
    (of(b"null", CHAR, major=1, minor=3, mode=0o666), b""),
    (of(b"disk", BLOCK_DEVICE, major=259, minor=1_000_000, mode=0o660), b""),
    (of(b"fifo", FIFO), b""),
    (of(b"x", xattrs={b"user.a": b"1\0\n=", b"user.k=v": b"\xff", b"security.capability": b"\1" * 20}), b""),
]  # fmt: skip


def written() -> bytes:
    return b"".join(piece for item, body in MEMBERS for piece in member(item, [body] if body else [])) + END


def test_read_again() -> None:
    """The reader of this package gets back every field of every entry."""
    fields = ("name", "type", "mode", "uid", "gid", "size", "mtime", "link", "major", "minor", "xattrs")
    found = read(written())

    assert [[getattr(item, key) for key in fields] for item, _ in found] == [
        [getattr(item, key) for key in fields] for item, _ in MEMBERS
    ]
    assert [body for _, body in found] == [body for _, body in MEMBERS]


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_others_read_it(program: str, tmp_path: Path) -> None:
    """GNU tar and libarchive list the same names without a complaint."""
    need(program)
    plain = [item for item, _ in MEMBERS if item.name != b"x"]  # nobody else knows names of attributes with "="
    (tmp_path / "a.tar").write_bytes(b"".join(b"".join(member(item, [bytes(item.size)])) for item in plain) + END)
    done = subprocess.run(
        [program, "-tf", tmp_path / "a.tar"], capture_output=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == len(plain)


def test_python_reads_it(tmp_path: Path) -> None:
    """tarfile understands names, owners and attributes."""
    (tmp_path / "a.tar").write_bytes(written())
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()

    assert [member.name for member in members][:4] == ["etc", "etc/file", "etc/block", "n" * 101]
    assert (members[3].uid, members[3].gid) == (3_000_000_000, 2_097_152)
    assert all(not member.uname and not member.gname for member in members)


@pytest.mark.parametrize("length", range(80, 130))
def test_record_lengths(length: int) -> None:
    """A record's length counts its own digits, at every number of them."""
    [(item, _)] = read(b"".join(member(of(b"\xc3\xa9" * (length // 2) + b"x" * (length % 2)))) + END)

    assert len(item.name) == length


def test_file_that_shrank() -> None:
    """A file that has other bytes than its entry says is no archive."""
    with pytest.raises(Invalid, match="changed while it was read"):
        list(member(of(b"file", size=5), [b"four"]))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "none"])
def test_compressed(kind: str) -> None:
    """What is compressed unpacks to the same, and twice to the same bytes; gzip says neither time nor name."""
    from pyrunc.image.stream import decompressed

    data = written()
    packed = b"".join(compressed([data[:700], data[700:]], kind))

    assert packed == b"".join(compressed([data[:700], data[700:]], kind))
    assert packed == data if kind == "none" else b"".join(decompressed(iter([packed]), kind)) == data
    if kind == "gzip":
        assert gzip.decompress(packed) == data
        assert packed[3:8] == bytes(5)
