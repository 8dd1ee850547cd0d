"""Asks the kernel by trying: prints JSON, name -> errno (0: it worked). A program of its own, run by machine.py,
because what it makes (namespaces, mounts in them) must end with it; it imports nothing of pyrunc.

System calls are tried with arguments that make no sense: ENOSYS means that the kernel lacks one, EPERM that something
(a seccomp filter around us) forbids it, everything else that it is there.
"""

from __future__ import annotations

import ctypes
import json
import os
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
NAMESPACES = {
    "mount": 0x20000, "pid": 0x20000000, "network": 0x40000000, "uts": 0x4000000, "ipc": 0x8000000,
    "cgroup": 0x2000000, "time": 0x80, "user": 0x10000000,
}  # fmt: skip
# Numbers from 424 on are the same on every architecture (asm-generic/unistd.h).
CALLS = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "fsconfig": 431, "fsmount": 432, "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437,
    "pidfd_getfd": 438, "mount_setattr": 442, "landlock_create_ruleset": 444,
}  # fmt: skip
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(os.uname().machine, 277)
FLAGS = {"tsync": 1, "log": 2, "spec_allow": 4, "new_listener": 8, "wait_killable_recv": 1 << 5 | 8}
NEWUSER, NEWNS = NAMESPACES["user"], NAMESPACES["mount"]
BAD = 0xFFFFFFFF


def call(number: int, *arguments: int) -> int:
    """The errno of a system call, 0 for success."""
    given = [ctypes.c_long(value) for value in arguments]
    return ctypes.get_errno() if LIBC.syscall(ctypes.c_long(number), *given) < 0 else 0


def in_child(attempt: Callable[[], int]) -> int:
    """The errno of an attempt made by a child, for what would change ourselves."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(attempt())
        except OSError as error:
            os._exit(error.errno or 255)
        except BaseException:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def unshare(flags: int) -> int:
    return ctypes.get_errno() if LIBC.unshare(ctypes.c_int(flags)) < 0 else 0


def namespaces() -> dict[str, int]:
    """Who is not root makes them together with a user namespace."""
    with_user = 0 if os.geteuid() == 0 else NEWUSER
    return {f"namespace {name}": in_child(partial(unshare, flag | with_user)) for name, flag in NAMESPACES.items()}


def calls() -> dict[str, int]:
    """Where a container would make them: some are for whoever owns the mount namespace alone."""
    return {f"call {name}": in_child(partial(inside, number)) for name, number in CALLS.items()}


def inside(number: int) -> int:
    if os.geteuid() != 0:
        unshare(NEWUSER | NEWNS)
    return call(number, BAD, 0, BAD, 0, 0)


def seccomp() -> dict[str, int]:
    """A filter that is none: EFAULT where the flags are known, EINVAL where not."""
    return {f"seccomp {name}": call(SECCOMP, 1, flags, 0) for name, flags in FLAGS.items()}


def map_ids() -> int:
    """The attempt of idmapped(): a clone of / gets a map."""
    read, write = os.pipe()
    owner = os.fork()
    if owner == 0:  # holds the user namespace of the map
        os.write(write, bytes([unshare(NEWUSER)]))
        LIBC.pause()
    try:
        if error := os.read(read, 1)[0]:
            return error
        for kind in ("uid", "gid"):
            with open(f"/proc/{owner}/{kind}_map", "w") as file:
                file.write("0 100000 1000")
        if error := unshare(NEWNS):
            return error
        tree = LIBC.syscall(ctypes.c_long(CALLS["open_tree"]), ctypes.c_long(-100), b"/", ctypes.c_long(1))
        if tree < 0:
            return ctypes.get_errno()
        namespace = os.open(f"/proc/{owner}/ns/user", os.O_RDONLY)
        attributes = (ctypes.c_uint64 * 4)(1 << 20, 0, 0, namespace)  # struct mount_attr with MOUNT_ATTR_IDMAP
        done = LIBC.syscall(
            ctypes.c_long(CALLS["mount_setattr"]), ctypes.c_long(tree), b"", ctypes.c_long(0x1000), attributes,
            ctypes.c_long(ctypes.sizeof(attributes)),
        )  # fmt: skip
        return ctypes.get_errno() if done < 0 else 0
    finally:
        os.kill(owner, 9)
        os.waitpid(owner, 0)


if __name__ == "__main__":
    print(json.dumps({**namespaces(), **calls(), **seccomp(), "idmapped mount": in_child(map_ids)}))
