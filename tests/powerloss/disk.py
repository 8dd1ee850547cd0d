"""A disk of which every write is kept: a file system on a loop device on a file that qemu-storage-daemon shows by FUSE,
through its driver `blklogwrites`. No virtual machine is needed, and no device-mapper."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .writes import Log

SIZE = 96 << 20
LOG_SIZE = 4 << 30  # sparse


def need() -> None:
    """Skips, by the name of what is missing."""
    for program in ("qemu-storage-daemon", "mkfs.ext4", "losetup"):
        if shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
            pytest.skip(f"{program} is not installed")
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not Path(device).exists():
            pytest.skip(f"{device} is not here")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def mounted(source: str | Path, folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    run("mount", "-t", "ext4", "-o", options, source, folder)
    try:
        yield
    finally:
        run("umount", folder)


@contextmanager
def logged(folder: Path, options: str) -> Iterator[tuple[Path, Log, Path]]:
    """A new file system, mounted: its folder, the log, and a copy of the disk as it was before the mount."""
    disk, log, export, before = (folder / name for name in ("disk", "log", "export", "before"))
    for path, size in ((disk, SIZE), (log, LOG_SIZE), (export, 0)):
        path.touch()
        with path.open("r+b") as file:
            file.truncate(size)
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk)
    shutil.copy(disk, before)
    daemon = subprocess.Popen([
        "qemu-storage-daemon",
        "--blockdev", f"driver=file,filename={disk},node-name=disk",
        "--blockdev", f"driver=file,filename={log},node-name=log",
        "--blockdev", "driver=blklogwrites,file=disk,log=log,node-name=logged",
        "--export", f"fuse,id=export,node-name=logged,mountpoint={export},writable=on,allow-other=off",
    ])  # fmt: skip
    device = ""
    try:
        end = time.monotonic() + 20
        while export.stat().st_size != SIZE:
            if daemon.poll() is not None or time.monotonic() > end:
                pytest.skip("qemu-storage-daemon cannot show a disk here")
            time.sleep(0.02)
        device = run("losetup", "--find", "--show", export)
        with mounted(device, folder / "mounted", options):
            yield folder / "mounted", Log(log), before
    finally:
        if device:
            run("losetup", "--detach", device)
        daemon.terminate()
        daemon.wait(20)
