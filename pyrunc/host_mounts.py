"""Takes away what a container without a mount namespace has mounted: on the host, below its root file system. Only
loaded for such a container.

All of it lies on one mount, the root file system bound on itself by the launcher. That one is known by what it lies on:
an engine may have mounted the root file system before, and that mount is not ours.
"""

from __future__ import annotations

import os

from pyrunc.specs.errors import Failure

NEED = "mounted-on="
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


def need(rootfs: str) -> str:
    """What the record has to keep, before anything is mounted: the mount that `rootfs` lies on."""
    fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
            found = dict(line.split(":", 1) for line in file)
    finally:
        os.close(fd)
    return NEED + found["mnt_id"].strip()


def unmount(rootfs: str, needs: list[str]) -> None:
    """Detaches the container's mounts, if there are any; `needs` is the record's."""
    below = next((word.removeprefix(NEED) for word in needs if word.startswith(NEED)), "")
    if below and _is_mounted(rootfs, below):
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.umount2(os.fsencode(rootfs), MNT_DETACH | UMOUNT_NOFOLLOW):
            raise Failure(f"unmount {rootfs}", "mounts", ctypes.get_errno())


def _is_mounted(rootfs: str, below: str) -> bool:
    """Whether a mount on `rootfs` lies on the mount with the id `below`; proc_pid_mountinfo(5)."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        rows = [line.split(" ", 5) for line in file]
    return any(row[1] == below and _unescaped(row[4]) == rootfs for row in rows)


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
