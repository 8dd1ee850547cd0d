"""The steps of a CgroupPlan that are more than one write, and reading and writing the small files of cgroups.

On the hot path, while a container is made. Acts on what it is told, decides nothing; must not know the document.
"""

from __future__ import annotations

import posix

from pyrunc.specs.errors import Failure, PyruncError

EPERM, ENOENT, EACCES, EBUSY, ENODEV, ENOTDIR, EINVAL = 1, 2, 13, 16, 19, 20, 22
THREADED = ("+cpu", "+cpuset", "+pids")
GONE = (ENOENT, ENOTDIR, ENODEV)


def check_unused(folder: str) -> None:
    """A cgroup that is there already may become a container's only when it is empty and not frozen: limits would hit
    processes of others, and init would never run."""
    if not posix.access(f"{folder}/.", posix.F_OK):
        raise Failure(f"make cgroup {folder}", "linux.cgroupsPath", ENOTDIR)
    found = processes(folder)
    if found:
        raise PyruncError(
            f"container's cgroup is not empty: {len(found)} process(es) found", "linux.cgroupsPath",
            f"end them, or give another path than {folder}",
        )  # fmt: skip
    if read(f"{folder}/freezer.state") in ("FROZEN", "FREEZING") or read(f"{folder}/cgroup.freeze") == "1":
        raise PyruncError("container's cgroup unexpectedly frozen", "linux.cgroupsPath", f"thaw {folder}, or remove it")


def enable_controllers(folder: str, names: str) -> None:
    """Hands controllers (names with spaces between) down to the children of `folder`, as many as the kernel grants: a
    limit whose controller is missing fails by itself, and says so."""
    enabled = (read(f"{folder}/cgroup.subtree_control") or "").split()
    missing = [f"+{name}" for name in names.split() if name not in enabled]
    if not missing:
        return
    missing.sort(key=lambda word: word in THREADED)
    # One by one when they are refused together: one that is not delegated must not keep the others back.
    for words in ([" ".join(missing)], missing):
        refused = 0
        for word in words:
            try:
                write(f"{folder}/cgroup.subtree_control", word)
            except OSError as error:
                if error.errno == EBUSY:
                    return  # it holds processes; a controller of THREADED would succeed, but turn it into another type
                refused += 1
        if not refused:
            return


def inherit_cpuset(folder: str, file: str) -> None:
    """cgroup v1: fills an empty cpuset.cpus or cpuset.mems with the parent's."""
    try:
        if not read(f"{folder}/{file}"):
            write(f"{folder}/{file}", read(f"{folder.rpartition('/')[0]}/{file}") or "\n")
    except OSError as error:
        raise refusal(f"{folder}/{file}", "the parent's", "linux.cgroupsPath", error) from None


def write_either(first: str, value: str, other: str, other_value: str, pointer: str = "") -> None:
    """Writes to the first of two files that exists."""
    try:
        try:
            write(first, value)
        except FileNotFoundError:
            first, value = other, other_value
            write(first, value)
    except OSError as error:
        raise refusal(first, value, pointer, error) from None


def delegate(folder: str, uid: int, gid: int) -> None:
    """Lets a user make cgroups below the folder and move processes there. The files that set the folder's own limits
    stay ours, so these hold whatever happens below. The group as well, because root of a user namespace, which `exec`
    has become before it is cloned into the folder, has rights to a file only if both are mapped."""
    files = read("/sys/kernel/cgroup/delegate") or "cgroup.procs\ncgroup.subtree_control\ncgroup.threads"
    for path in [folder, *[f"{folder}/{name}" for name in files.split("\n")]]:
        try:
            posix.chown(path, uid, gid)
        except FileNotFoundError:
            pass  # of a controller that is not handed down to here
        except OSError as error:
            raise Failure(f"give {path} to user {uid}", "linux.namespaces", error.errno or 0) from None


def refusal(path: str, value: str, pointer: str, error: OSError) -> Failure:
    """The failure of a write, with the likely reason where a number alone misleads."""
    folder, _, file = path.rpartition("/")
    controller = file.partition(".")[0]
    hint = None
    if error.errno == ENOENT or (error.errno in (EACCES, EPERM) and not posix.access(path, posix.F_OK)):
        hint = _not_handed_down(folder, controller) or f"this kernel has no {file}"
    elif error.errno in (EACCES, EPERM):
        hint = f"{folder} is not delegated to this user, or its parent allows less"
    elif error.errno == EBUSY and controller == "memory":
        hint = "the limit is lower than what is in use"
    elif error.errno == EINVAL:
        hint = "the value is out of range, or does not fit the limits of a parent or those already set"
    return Failure(f"write {value.strip()!r} to {path}", pointer, error.errno or 0, hint=hint)


def _not_handed_down(folder: str, controller: str) -> str | None:
    """Why a cgroup v2 folder lacks a controller; None when it does not."""
    has = read(f"{folder}/cgroup.controllers")
    if has is None or controller in ("cgroup", *has.split()):
        return None
    parent = folder.rpartition("/")[0]
    hint = f"the {controller} controller is not handed down to {folder}"
    if "threaded" in (read(f"{parent}/cgroup.type") or ""):
        return f"{hint}: {parent} is threaded, choose another linux.cgroupsPath"
    if read(f"{parent}/cgroup.procs"):
        return f"{hint}: {parent} holds processes of its own, move them or choose another linux.cgroupsPath"
    return hint


def processes(folder: str) -> set[int]:
    """The processes in the cgroup and all below it; none when it has gone."""
    found: set[int] = set()
    for level in [folder, *below(folder)]:
        try:
            text = read(f"{level}/cgroup.procs")
        except OSError:  # a threaded cgroup: its processes are listed further up
            continue
        found.update([int(pid) for pid in (text or "").split()])
    found.discard(0)  # a process of another pid namespace
    return found


def below(folder: str) -> list[str]:
    """All cgroups below the folder, parents before children, however deep a container has nested them."""
    found = [folder]
    for path in found:  # grows while it is walked
        try:
            entries = list(posix.scandir(path))
        except OSError:
            continue
        found += [f"{path}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
    return found[1:]


def read(path: str) -> str | None:
    """The file without its last newline, None when it (or its cgroup) is not there."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    try:
        parts = []
        while part := posix.read(fd, 65536):
            parts.append(part)
        return b"".join(parts).decode().rstrip("\n")
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    finally:
        posix.close(fd)


def write(path: str, value: str) -> None:
    fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        posix.write(fd, value.encode())
    finally:
        posix.close(fd)
