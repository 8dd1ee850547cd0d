"""The pid file: whole or not there, and nothing beside it."""

from __future__ import annotations

import errno
import os
import posix
import stat
from pathlib import Path

import pytest

from pyrunc.pid_file import write_pid_file
from pyrunc.specs.errors import Failure


@pytest.fixture(params=[True, False], ids=["nameless", "renamed"], autouse=True)
def nameless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems that know files without a name, and those that do not."""
    plain = posix.open

    def refuse(path: str, flags: int, *args: int, **words: int) -> int:
        if flags & posix.O_TMPFILE == posix.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no nameless files")
        return plain(path, flags, *args, **words)

    if not request.param:
        monkeypatch.setattr(posix, "open", refuse)


def test_pid_file(tmp_path: Path) -> None:
    """The number alone, in the place of what was there, and no other file."""
    path = tmp_path / "pid"
    write_pid_file(str(path), 123456)
    write_pid_file(str(path), 7)

    assert path.read_text() == "7"
    assert [item.name for item in tmp_path.iterdir()] == ["pid"]


def test_link_is_replaced(tmp_path: Path) -> None:
    """A symbolic link in its place is replaced, and what it leads to stays as it is."""
    other = tmp_path / "other"
    other.write_text("precious")
    (tmp_path / "pid").symlink_to(other)
    write_pid_file(str(tmp_path / "pid"), 7)

    assert other.read_text() == "precious"
    assert not (tmp_path / "pid").is_symlink()


def test_fifo_stays(tmp_path: Path) -> None:
    """A fifo (or a device: /dev/null) gets the number and stays what it is; without a reader that is an error."""
    path = tmp_path / "pid"
    os.mkfifo(path)
    with pytest.raises(Failure, match=r"write the pid file .*/pid: ENXIO"):
        write_pid_file(str(path), 7)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_pid_file(str(path), 7)

    assert os.read(reader, 10) == b"7"
    assert path.is_fifo()
    os.close(reader)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that does not exist is an error with its path."""
    with pytest.raises(Failure, match=r"write the pid file .*/nowhere/pid: ENOENT"):
        write_pid_file(str(tmp_path / "nowhere/pid"), 7)


def test_device_stays(tmp_path: Path, root: None) -> None:
    """A device is written to, also by way of a link; it is not replaced by a file."""
    device, link = tmp_path / "null", tmp_path / "stdout"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    link.symlink_to(device)
    write_pid_file(str(device), 7)
    write_pid_file(str(link), 7)

    assert device.is_char_device()
    assert link.is_symlink()


def test_full_device(root: None, tmp_path: Path) -> None:
    """What cannot be written is an error."""
    device = tmp_path / "full"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 7))

    with pytest.raises(Failure, match="ENOSPC"):
        write_pid_file(str(device), 7)
