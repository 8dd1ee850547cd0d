"""What is done to the cgroups of a living container: freezing, listing, killing, removing.

On the hot path. Acts on the folders that it is told, decides nothing; a folder that has gone is no error where its
absence is what was asked for.
"""

from __future__ import annotations

import posix
import time

from pyrunc.sandbox.cgroup.steps import EBUSY, GONE, below, processes, read, write
from pyrunc.specs.errors import Failure

SIGKILL = 9
PATIENCE = 10.0  # seconds; a frozen or dying cgroup that takes longer is stuck in the kernel


# -- freezing ---------------------------------------------------------------------------------------------------------


def freeze(freezer: tuple[str, str]) -> None:
    """Stops every process of the cgroup; returns when all have stopped, else thaws them again and raises."""
    version, file = freezer
    if version == "v1":
        _freeze_v1(file)
        return
    events = f"{file.rpartition('/')[0]}/cgroup.events"
    try:
        write(file, "1")
        if _wait_event(events, "frozen 1", PATIENCE):
            return
    except OSError as error:
        raise Failure(f"freeze {file}", "", error.errno or 0) from None
    thaw(freezer)
    raise _stuck(file)


def thaw(freezer: tuple[str, str], or_gone: bool = False) -> None:
    """`or_gone`: a cgroup that is not there any more has nothing frozen in it."""
    version, file = freezer
    try:
        write(file, "THAWED" if version == "v1" else "0")
    except OSError as error:
        if or_gone and error.errno in GONE:
            return
        raise Failure(f"thaw {file}", "", error.errno or 0) from None


def is_frozen(freezer: tuple[str, str]) -> bool:
    """False as well for a cgroup that has gone."""
    version, file = freezer
    if version == "v1":
        return read(file) == "FROZEN"
    return read(file) == "1"


def _freeze_v1(file: str) -> None:
    """FROZEN is asked for again and again: a process that forks while the cgroup freezes can leave it at FREEZING, and
    thawing for a moment lets it get on."""
    end = time.monotonic() + PATIENCE
    tries = 0
    try:
        while time.monotonic() < end:
            write(file, "FROZEN")
            if read(file) == "FROZEN":
                return
            tries += 1
            if tries % 50 == 49:
                write(file, "THAWED")
            time.sleep(min(0.00001 * tries, 0.01))
        write(file, "THAWED")
    except OSError as error:
        raise Failure(f"freeze {file}", "", error.errno or 0) from None
    raise _stuck(file)


def _stuck(file: str) -> Failure:
    hint = "one in uninterruptible sleep cannot be frozen"
    return Failure(f"freeze {file}", "", detail="a process does not stop", hint=hint)


def _wait_event(file: str, line: str, patience: float) -> bool:
    """Waits until cgroup.events has the line: the kernel wakes a poll for POLLPRI whenever the file changes."""
    import select

    fd = posix.open(file, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLPRI)
        end = time.monotonic() + patience
        while True:
            if line.encode() in posix.pread(fd, 4096, 0).split(b"\n"):
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            poll.poll(left * 1000)
    finally:
        posix.close(fd)


# -- processes --------------------------------------------------------------------------------------------------------


def pids(folders: list[str]) -> list[int]:
    """The processes in the cgroups and all below them, each once, in ascending order."""
    found: set[int] = set()
    for folder in folders:
        found |= processes(folder)
    return sorted(found)


def kill_all(folders: list[str], freezer: tuple[str, str] | None = None) -> None:
    """SIGKILL for every process in the cgroups and below, forks included. A frozen cgroup is thawed: those of v1 die
    only then. Does not wait for their end."""
    killed = False
    for folder in folders:
        try:
            write(f"{folder}/cgroup.kill", "1")  # cgroup v2, Linux 5.14: all at once, and nothing can fork past it
            killed = True
        except OSError:
            pass
    left = pids(folders) if not killed or not all(map(_has_kill, folders)) else []
    if left:
        _kill_frozen(folders, freezer)
    elif killed and freezer is not None and is_frozen(freezer):
        _try_thaw(freezer)


def _kill_frozen(folders: list[str], freezer: tuple[str, str] | None) -> None:
    """Frozen first, so that none forks between being listed and being killed; without a freezer, again until none is
    left."""
    if freezer is not None:
        try:
            freeze(freezer)
        except Failure:
            pass  # best effort: what does not freeze is killed all the same
    try:
        for _ in range(1 if freezer is not None else 100):
            left = pids(folders)
            if not left:
                return
            for pid in left:
                try:
                    posix.kill(pid, SIGKILL)
                except ProcessLookupError:
                    pass
    finally:
        if freezer is not None:
            _try_thaw(freezer)


def _has_kill(folder: str) -> bool:
    return posix.access(f"{folder}/cgroup.kill", posix.F_OK)


def _try_thaw(freezer: tuple[str, str]) -> None:
    try:
        thaw(freezer)
    except Failure:
        pass  # it has gone


# -- removing ---------------------------------------------------------------------------------------------------------


def remove(folders: list[str]) -> None:
    """Removes the cgroups and those made below them, deepest first. A cgroup whose last process is just ending is busy
    for a moment, so that is tried again for a while, a little longer each time."""
    pause = 0.001
    left = folders
    while True:
        left = [folder for folder in left if not _remove(folder)]
        if not left:
            return
        if pause > 1:
            break
        time.sleep(pause)
        pause *= 2
    found = pids(left)
    what = f"{len(found)} process(es) are still in it" if found else "it stays busy"
    raise Failure(f"remove cgroup {left[0]}", "linux.cgroupsPath", EBUSY, what)


def _remove(folder: str) -> bool:
    """Whether it has gone. The usual case is one rmdir; folders below are looked for only when that fails."""
    try:
        posix.rmdir(folder)
        return True
    except OSError as error:
        if error.errno in GONE:
            return True
        if error.errno != EBUSY:
            raise Failure(f"remove cgroup {folder}", "linux.cgroupsPath", error.errno or 0) from None
    for level in reversed(below(folder)):
        try:
            posix.rmdir(level)
        except OSError:
            pass  # the rmdir below tells
    try:
        posix.rmdir(folder)
        return True
    except OSError as error:
        return error.errno in GONE
