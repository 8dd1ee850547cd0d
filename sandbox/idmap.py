"""Writes the id maps of a new user namespace: directly with the rights for it, through newuidmap and newgidmap without.
Also makes one that nobody lives in, for id-mapped mounts.

user_namespaces(7), newuidmap(1), mount_setattr(2). Only loaded when a container has such a thing. Must not decide which
ids are mapped: what it is told it writes, or says why not.
"""

from __future__ import annotations

import posix

from pyrunc.specs.errors import Failure

CLONE_NEWUSER = 0x10000000


def write_maps(pid: int, deny_setgroups: bool, uids: str, gids: str) -> None:
    """Writes both maps of process `pid` (`container host size` lines). Raises OSError, or Failure from a helper.

    Everybody may map the own id alone; the rest takes root of the namespace above, or a helper that asks /etc/subuid.
    """
    root = posix.geteuid() == 0
    if deny_setgroups:
        _write(f"/proc/{pid}/setgroups", "deny")
    if root or _is_only(uids, posix.geteuid()):
        _write(f"/proc/{pid}/uid_map", uids)
    else:
        _helper("newuidmap", "linux.uidMappings", pid, uids)
    if root or (deny_setgroups and _is_only(gids, posix.getegid())):
        _write(f"/proc/{pid}/gid_map", gids)
    else:
        _helper("newgidmap", "linux.gidMappings", pid, gids)


def mapped_namespace(uids: str, gids: str, pointer: str) -> int:
    """An fd of a user namespace with these maps. The process that it is made for ends at once."""
    from pyrunc.sandbox.launch import Launch
    from pyrunc.sandbox.plan import RENDEZVOUS_NUMBER, Plan, host, op, sync

    plan = Plan()
    plan.host = [
        host("launch", pointer),
        host("await", pointer, RENDEZVOUS_NUMBER["idmaps"]),
        host("id_maps", pointer, 0, uids, gids),
    ]
    plan.init = [op("spawn", pointer, CLONE_NEWUSER, ""), sync("idmaps", pointer, "identity")]
    launch = Launch(plan, {})
    try:
        launch.run()
        return posix.open(f"/proc/{launch.pid}/ns/user", posix.O_RDONLY | posix.O_CLOEXEC)
    finally:
        launch.close()  # it waits for us, and ends
        if launch.pid:
            posix.waitpid(launch.pid, 0)


def _is_only(lines: str, id: int) -> bool:
    return lines.split()[1:] == [str(id), "1"]


def _write(path: str, text: str) -> None:
    fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        posix.write(fd, text.encode())
    finally:
        posix.close(fd)


def _helper(program: str, pointer: str, pid: int, lines: str) -> None:
    import subprocess

    what = f"write the map with {program}"
    try:
        done = subprocess.run([program, str(pid), *lines.split()], capture_output=True, text=True, check=False)
    except OSError as error:
        hint = "more than the own id takes newuidmap and newgidmap (Debian's package uidmap)"
        raise Failure(what, pointer, error.errno or 0, hint=hint) from None
    if done.returncode:
        raise Failure(
            what, pointer, detail=done.stderr.strip(),
            hint="the ranges have to be the caller's own in /etc/subuid and /etc/subgid",
        )  # fmt: skip
