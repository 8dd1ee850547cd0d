"""The machine below the tests: a mount namespace of our own, the cgroup layout, and a look at all that may leak.

Nothing here knows a runtime. The tests' own process becomes a subreaper, so whatever a runtime leaves running turns up
as a descendant of ours, and has a mount namespace of its own, so whatever it leaves mounted is in our mountinfo and in
nobody else's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections import Counter
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED, MS_MOVE = 4096, 16384, 1 << 18, 1 << 20, 8192
CLONE_NEWNS = 0x00020000
MNT_DETACH = 2
PR_SET_CHILD_SUBREAPER = 36

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def mount(source: str, target: str, flags: int, kind: str = "") -> None:
    check(libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, None), f"mount {target}")


def unmount(target: str) -> None:
    check(libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def own_mounts() -> None:
    """A mount namespace of our own. Its mounts are shared again, as under systemd: a leak shows here."""
    check(libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", MS_REC | MS_PRIVATE)
    mount("none", "/", MS_REC | MS_SHARED)


def cgroup_layout(name: str) -> None:
    """Narrows this mount namespace's view: `v1` hides the unified hierarchy, `cgroup2` shows nothing else, `host` is as
    it was."""
    unified = CGROUPS / "unified"
    if name == "host" or (CGROUPS / "cgroup.controllers").exists():
        return
    if name == "v1":
        if unified.is_mount():
            unmount(str(unified))
    elif name == "cgroup2":
        mount("none", "/", MS_REC | MS_PRIVATE)  # a mount cannot be moved below a shared parent
        mount(str(unified), "/mnt", MS_BIND)
        unmount(str(CGROUPS))
        mount("/mnt", str(CGROUPS), MS_MOVE)
        mount("none", "/", MS_REC | MS_SHARED)
    else:
        raise ValueError(f"unknown cgroup layout {name}")


def become_subreaper() -> None:
    check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


# -- processes --------------------------------------------------------------------------------------------------------


def stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (the state) on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def parent(pid: int) -> int:
    fields = stat_fields(pid)
    return int(fields[1]) if fields else 0


def alive(pid: int) -> bool:
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in "ZX"


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    found = children(pid)
    for child in found:  # grows while it is walked
        found.extend(children(child))
    return found


def reap() -> None:
    """Waits for the orphans that came to us, as a container engine would. Only while no command of ours is running."""
    for child in children(os.getpid()):
        if not alive(child):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def end_descendants() -> None:
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.05)
    reap()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


# -- what could leak --------------------------------------------------------------------------------------------------


def mounts() -> list[str]:
    """Mount points with type and source, without the numbers."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted(" ".join([*line.split()[3:6], *line.rpartition(" - ")[2].split()[:2]]) for line in lines)


def cgroup_folders(word: str) -> list[str]:
    """Folders of any hierarchy with `word` in their name, and all below them."""
    top = [CGROUPS] if (CGROUPS / "cgroup.procs").exists() else list(CGROUPS.iterdir())
    left = [str(hierarchy) for hierarchy in top if hierarchy.is_mount()]
    found = set()
    while left:  # not os.walk, which has no end in sight where somebody nests a thousand of them
        folder = left.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            left += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        if word in folder:
            found.add(folder)
    return sorted(found)


def remove_cgroups(word: str) -> None:
    for folder in sorted(cgroup_folders(word), key=len, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def sockets(word: str) -> list[str]:
    return sorted(line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if word in line)


def leftovers(word: str, folder: Path, state: Path) -> dict[str, list[str]]:
    """Everything that a runtime may leave behind, by kind. `word` is in the name of all that the tests ask for."""
    reap()
    uname = os.uname()
    return {
        "mounts": mounts(),
        "cgroups": cgroup_folders(word),
        "processes": [f"{pid} {command_line(pid)}" for pid in descendants(os.getpid())],
        "state": sorted(name for name in os.listdir(state) if not name.startswith(".")) if state.is_dir() else [],
        "sockets": sockets(str(folder)),
        "host names": [uname.nodename, Path("/proc/sys/kernel/domainname").read_text().strip()],
    }


def more(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, list[str]]:
    """What is there now and was not before. What has gone may have been somebody else's: it does not count."""
    new = {kind: sorted((Counter(after[kind]) - Counter(before[kind])).elements()) for kind in after}
    return {kind: things for kind, things in new.items() if things}
