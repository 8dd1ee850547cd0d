"""Whether processes that CRIU has made are what the bundle's document asks for. Looked at before they go on.

CRIU takes users, capabilities, filters and namespaces from its images, and images may come from anybody, or from a
container of another document. What the document forbids is forbidden to a restored process too; what such a process
has given up by itself it need not get back. Reads /proc only; must not end anybody.
"""

from __future__ import annotations

import os

from pyrunc.sandbox.capabilities import NAMES, masks
from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrunc.specs.runtime import Spec

HINT = "CRIU makes processes as the images say: restore with the document that they were made with"
NAMESPACES = {"network": "net", "mount": "mnt", "pid": "pid", "ipc": "ipc", "uts": "uts", "user": "user"}


def check_restored(spec: Spec, init: int) -> None:
    """Raises Failure for a process that has more than the document grants, or lacks what confines it."""
    assert spec.process is not None
    bounding, _, permitted, inheritable, _, _ = masks(spec.process.capabilities, len(NAMES) - 1)
    granted = bounding | permitted | inheritable
    confines = spec.linux.seccomp is not None and bool(spec.linux.seccomp.default_action or spec.linux.seccomp.syscalls)
    home = _namespace(init, "user")
    for pid in _tree(init):
        status = _status(pid)
        for item in spec.linux.namespaces:
            kind = NAMESPACES.get(item.type, "")
            if kind and not item.path and _namespace(pid, kind) == _namespace(os.getpid(), kind):
                raise _refusal(pid, f"it is in the host's {item.type} namespace", item.pointer)
        held = int(status["CapBnd"], 16) | int(status["CapPrm"], 16) | int(status["CapInh"], 16)
        more = held & ~granted & (1 << len(NAMES)) - 1
        if more and _namespace(pid, "user") == home:  # inside a user namespace of its own it has them all
            names = " ".join(name for number, name in enumerate(NAMES) if more >> number & 1)
            raise _refusal(pid, f"it may have {names}", "process.capabilities")
        if spec.process.no_new_privileges and status.get("NoNewPrivs") == "0":
            raise _refusal(pid, "it may gain privileges by execve(2)", "process.noNewPrivileges")
        if confines and status.get("Seccomp") == "0":
            raise _refusal(pid, "no seccomp filter is in force", "linux.seccomp")


def _refusal(pid: int, what: str, pointer: str) -> Failure:
    return Failure(f"let restored process {pid} go on", pointer, detail=f"{what}, against the document", hint=HINT)


def _tree(init: int) -> Iterator[int]:
    """All processes below init, which is the first."""
    waiting = [init]
    while waiting:
        pid = waiting.pop()
        yield pid
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                waiting += [int(child) for child in file.read().split()]


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="surrogateescape") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def _namespace(pid: int, kind: str) -> int:
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
