"""`seccomp record`: runs a program or a bundle, learns its system calls, makes a profile of them. Off every hot path.

The program runs in a cgroup of its own, which the recorder watches; a bundle runs as a container without its filter.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import time
from typing import Any

from pyrunc.bundle import load_bundle, read_config
from pyrunc.options import CreateOptions
from pyrunc.sandbox.facts import read_facts
from pyrunc.sandbox.seccomp.explain import name_of
from pyrunc.sandbox.seccomp.names import MACHINES
from pyrunc.sandbox.seccomp.recorder import Recorder
from pyrunc.specs.errors import Failure, PyruncError

# What container runtimes themselves may call between loading the filter and the program; without these the recorded
# profile would fit one runtime only.
OF_RUNTIMES = """
access brk capget capset chdir clone close close_range dup3 epoll_create1 epoll_ctl epoll_pwait eventfd2 execve exit
exit_group faccessat2 fchdir fchown fcntl fstat fstatfs futex getcwd getdents64 getpid getppid getrandom gettid lseek
madvise mmap mprotect munmap nanosleep newfstatat openat openat2 pipe2 poll prctl pread64 read readlinkat rt_sigaction
rt_sigprocmask rt_sigreturn sched_yield setgid setgroups setuid sigaltstack stat statfs tgkill umask wait4 waitid write
""".split()
# Address families that a program with sockets is allowed: all up to 47 but 38, AF_ALG, which hardly any program needs
# and attackers of the kernel do. Whole numbers of 64 bits, of which the kernel looks at the lower half only.
FAMILIES = (
    {"index": 0, "value": 38, "op": "SCMP_CMP_LT"}, {"index": 0, "value": 39, "op": "SCMP_CMP_EQ"},
    {"index": 0, "value": (1 << 64) - 8, "valueTwo": 40, "op": "SCMP_CMP_MASKED_EQ"},
)  # fmt: skip
COMPAT = {"x86_64": "x86", "aarch64": "arm"}


def record_program(arguments: list[str]) -> tuple[int, dict[str, Any]]:
    """Runs it to its end and to that of all that it leaves behind; (exit code, profile)."""
    folder = f"{own_cgroup()}/pyrunc-record-{os.getpid()}"
    try:
        os.mkdir(folder)
    except OSError as error:
        raise Failure(f"make cgroup {folder}", number=error.errno or 0, hint="recording takes root") from None
    try:
        recorder = Recorder(folder)
        try:
            # The shell moves itself, so that not a single call of the program is missed.
            script = 'echo 0 > "$0/cgroup.procs" && exec "$@"'
            program = subprocess.Popen(["/bin/sh", "-c", script, folder, *arguments])
            status = program.wait()
            while populated(folder):
                time.sleep(0.05)
            return status if status >= 0 else 128 - status, profile(*recorder.calls())
        finally:
            recorder.close()
    finally:
        _remove(folder)


def record_bundle(root: str, bundle: str) -> tuple[int, dict[str, Any]]:
    """The same for a bundle: its config.json, but without filter and terminal."""
    from pyrunc import lifecycle, manage
    from pyrunc.store import Store

    load_bundle(bundle)  # so that what is wrong with it is said as always
    document = json.loads(read_config(f"{bundle}/config.json"))
    (document.get("linux") or {}).pop("seccomp", None)
    (document.get("annotations") or {}).pop("run.oci.seccomp_bpf_data", None)
    document["process"]["terminal"] = False
    id = f"pyrunc-record-{os.getpid()}"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump(document, config)
        config.flush()
        lifecycle.create(root, id, bundle, CreateOptions(bundle=bundle, config=config.name))
    try:
        pid = Store(root).load(id).pid
        recorder = Recorder(cgroup_of(pid))
        try:
            lifecycle.start(root, id)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code, profile(*recorder.calls())
        finally:
            recorder.close()
    finally:
        manage.delete(root, id, force=True)


def profile(native: list[int], compat: list[int]) -> dict[str, Any]:
    """The members of linux.seccomp that allow these calls and refuse all others."""
    from pyrunc.sandbox.native._seccomp import lib

    machine = MACHINES[platform.machine()]
    names = {name for name in OF_RUNTIMES if _number(lib, machine, name) >= 0}
    architectures = [machine]
    if compat:
        architectures.append(COMPAT[machine])
    for kind, numbers in ((machine, native), (COMPAT[machine], compat)):
        token = lib.seccomp_arch_resolve_name(kind.encode())
        found = {number: name_of(token, number) for number in numbers}
        nameless = [str(number) for number, name in found.items() if not name]
        if nameless:
            raise PyruncError(
                f"libseccomp has no name for system calls {', '.join(nameless)}", hint="a newer libseccomp has"
            )
        names.update(found.values())
    sockets = [{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [family]} for family in FAMILIES]
    if "socket" not in names:
        sockets = []
    names.discard("socket")
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": [f"SCMP_ARCH_{name.upper()}" for name in architectures],
        "syscalls": [{"names": sorted(names), "action": "SCMP_ACT_ALLOW"}, *sockets],
    }


def _number(lib: Any, machine: str, name: str) -> int:
    return int(lib.seccomp_syscall_resolve_name_arch(lib.seccomp_arch_resolve_name(machine.encode()), name.encode()))


def own_cgroup() -> str:
    """Our own folder of cgroup v2."""
    unified = read_facts().layout.unified
    if unified is None:
        raise Failure("record system calls", detail="no cgroup2 file system is mounted", hint="mount one anywhere")
    return unified.own


def cgroup_of(pid: int) -> str:
    """The folder of cgroup v2 in which a container's init is. Raises Failure where that is our own."""
    unified = read_facts().layout.unified
    with open(f"/proc/{pid}/cgroup") as file:
        paths = [line[3:].rstrip("\n") for line in file if line.startswith("0::")]
    if unified is None or not paths or unified.folder(paths[0]) == unified.own:
        raise Failure("record system calls", detail="the container has no cgroup of its own in cgroup v2")
    return unified.folder(paths[0])


def populated(folder: str) -> bool:
    with open(f"{folder}/cgroup.events") as file:
        return "populated 1" in file.read()


def _remove(folder: str) -> None:
    """Those that are still in it, after an interruption, go back to where we are."""
    with open(f"{folder}/cgroup.procs") as file:
        left = file.read().split()
    for pid in left:
        try:
            with open(f"{os.path.dirname(folder)}/cgroup.procs", "w") as procs:
                procs.write(pid)
        except ProcessLookupError:
            pass
    os.rmdir(folder)
