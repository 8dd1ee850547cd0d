"""The English of failures: what a number from the launcher means for an operation, and one hint. Only loaded after a
failure.

Texts that engines parse are runc's, word for word (`exec: "foo": executable file not found in $PATH`).
"""

from __future__ import annotations

import errno
import os
from _signal import strsignal

from pyrunc.sandbox import protocol
from pyrunc.sandbox.describe import describe
from pyrunc.sandbox.operations import fields
from pyrunc.sandbox.protocol import detail_of
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.plan import Operation

WORDS = {
    protocol.DETAIL_MALFORMED_PLAN: "the launcher does not understand the plan",
    protocol.DETAIL_UNSEALED_PLAN: "the plan is not sealed",
    protocol.DETAIL_EMPTY_SLOT: "nothing is in the slot that it needs",
    protocol.DETAIL_MEMORY: "no memory for the plan",
    protocol.DETAIL_TARGET_IS_ROOT: "the target is the root file system itself",
    protocol.DETAIL_TARGET_CHANGED: "the target was replaced while it was mounted on",
    protocol.DETAIL_NOT_ORDINARY_FOLDER: "must be mounted on ordinary directory",
    protocol.DETAIL_LOCKED_FLAGS: "cannot clear locked flags of the source",
    protocol.DETAIL_OPTION: "the file system refused option",
    protocol.DETAIL_FILE_SYSTEM: "the file system says",
    protocol.DETAIL_NOT_NULL: "/dev/null is not the null device",
    protocol.DETAIL_OTHER_DEVICE: "the host's node is another device",
    protocol.DETAIL_EXISTS_DIFFERENT: "something else is there already",
    protocol.DETAIL_NOT_PROCFS: "there is no procfs that can be trusted",
    protocol.DETAIL_NOT_DEVPTS: "/dev/pts is no devpts",
    protocol.DETAIL_SOURCE: "source",
    protocol.DETAIL_TARGET: "target",
    protocol.DETAIL_ID_MAP: "map the ids of",
    protocol.DETAIL_CWD_OUTSIDE: "current working directory is outside of container mount namespace root",
    protocol.DETAIL_BAD_GROUP: "no group number",
}
# After these the text is a name, after the others somebody's words.
NAMED = (protocol.DETAIL_OPTION, protocol.DETAIL_SOURCE, protocol.DETAIL_TARGET, protocol.DETAIL_ID_MAP)
MOUNTING = ("mount", "mount_legacy", "bind", "remount")
HINTS = {
    ("spawn", errno.EPERM): "creating these namespaces takes root or a user namespace (add one to linux.namespaces)",
    ("spawn", errno.ENOSPC): "a limit of namespaces or pids is reached: see /proc/sys/user and the cgroup's pids.max",
    ("spawn", errno.EAGAIN): "the limit of processes is reached: see `ulimit -u` and the cgroup's pids.max",
    ("spawn", errno.EACCES): "this user may not leave the cgroup it is in: start in a delegated one",
    ("make_cgroup", errno.EACCES): "not delegated to this user: remove linux.cgroupsPath, or name one that is",
    ("id_maps", errno.EPERM): "an id is not mapped in the caller's own user namespace",
    ("spawn", errno.EBUSY): "its cgroup hands controllers to cgroups below, so it may hold no process",
    ("spawn", errno.EOPNOTSUPP): "its cgroup lies in a threaded one: choose another linux.cgroupsPath",
    ("append_to", errno.ENXIO): "nobody reads that fifo",
    ("spawn", errno.EINVAL): "this kernel lacks one of these namespaces",
    (
        "mount",
        errno.EPERM,
    ): "this user namespace does not own the mount's namespace, or the file system may not be mounted in it",
    ("mount", errno.ENODEV): "this kernel does not know the file system",
    ("mount", errno.EINVAL): "an option is not one of the file system's",
    ("mount", errno.EBUSY): "the file system is in use with other options",
    ("stack_root", errno.ENOENT): "the layers of a bundle go when the store that has them goes: unpack the image again",
    ("stack_root", errno.EACCES): "the container's root must reach the layers: for another user namespace unpack anew",
    ("stack_root", errno.EPERM): "overlayfs in a user namespace takes Linux 5.11, EROFS images root of the machine",
    ("stack_root", errno.ENODEV): "this kernel has no overlayfs, or no EROFS for layers that are images of it",
    ("stack_root", errno.EINVAL): "in a user namespace it takes Linux 5.11 (userxattr), over 80 layers Linux 6.7",
    ("stack_root", errno.ENOTBLK): "files that are EROFS images take Linux 6.12, and a place that is not on tmpfs",
    ("bind", errno.ENOENT): "the source does not exist",
    ("bind", errno.EINVAL): "a file goes on a file only, and a folder on a folder",
    ("bind", errno.EPERM): "the host has locked these flags for user namespaces, or the mount is not ours",
    ("map_ids", errno.EINVAL): "the kernel maps no ids of this file system",
    ("map_ids", errno.EPERM): "its ids are mapped already, or it belongs to another user namespace",
    ("bind_device", errno.ENOENT): "in a user namespace a device is the host's node of the same path, bound",
    ("open_console", errno.ENOENT): "mount a devpts on /dev/pts",
    ("mknod", errno.EPERM): "device nodes need root of the machine; in a user namespace they are bound",
    ("sysctl", errno.ENOENT): "this kernel does not have it",
    ("sysctl", errno.EACCES): "it does not belong to a namespace of the container",
    ("user", errno.EINVAL): "the id is not mapped in the container's user namespace",
    ("rlimit", errno.EPERM): "raising a hard limit takes CAP_SYS_RESOURCE",
    ("raise_rlimit", errno.EPERM): "raising a hard limit takes CAP_SYS_RESOURCE",
    (
        "scheduler",
        errno.EPERM,
    ): "process scheduler can't be used together with AllowedCPUs (linux.resources.cpu.cpus), "
    "and real-time policies take CAP_SYS_NICE",
    ("scheduler", errno.EINVAL): "this kernel does not have the policy, or its numbers make no sense together",
    ("scheduler", errno.EBUSY): "the CPUs have not that much time left for SCHED_DEADLINE",
    ("io_priority", errno.EPERM): "the real-time class takes CAP_SYS_NICE",
    ("cpu_affinity", errno.EINVAL): "none of these CPUs exists, or is in the cpuset",
    ("memory_policy", errno.EINVAL): "a node does not exist or is not in the cpuset, or the kernel lacks mode or flag",
    ("time_namespace", errno.ERANGE): "a clock would be negative, or beyond 146 years",
    ("time_namespace", errno.EINVAL): "this kernel has no time namespaces",
    ("security_attribute", errno.ENOENT): "the profile is not loaded on this host: see aa-status(8)",
    ("security_attribute", errno.EINVAL): "the loaded policy does not know this label",
    ("security_attribute", errno.EACCES): "the policy does not let us change to this profile or label",
    ("seccomp", errno.EINVAL): "this kernel does not take the filter or its flags",
    ("join", errno.EPERM): "joining takes privileges in the namespace's own user namespace",
    ("pivot_root", errno.EINVAL): "the root is on a ramdisk: try --no-pivot",
    ("attach_devices", errno.EPERM): "attaching a device filter takes CAP_BPF or root",
}


class MountFailure(Failure):
    """A mount of the document failed; in front stand runc's words, which engines and scripts know."""

    source = target = ""

    def __str__(self) -> str:
        words = f'error during container init: error mounting "{self.source}" to rootfs at "{self.target}": '
        return self.prefix + words + super().__str__()[len(self.prefix) :]


def explain(operation: Operation, number: int, b: int, text: str) -> PyruncError:
    """The failure of `operation`: errno `number` (0: the launcher refused), detail and its number in `b`, text of the
    kernel or of a program."""
    detail, own = detail_of(b)
    if operation.name == "find_program":
        return program_failure(str(operation.values[0]), operation.pointer, number, detail, text)
    if operation.name == "hook":
        return hook_failure(operation.pointer, f"run hook {operation.values[1]!r}", number, detail, own, text)
    if operation.name == "exec":
        return exec_failure(operation.pointer, number, text)
    what = "map_ids" if detail == protocol.DETAIL_ID_MAP else operation.name
    kind = MountFailure if operation.name in MOUNTING else Failure
    failure = kind(describe(operation), operation.pointer, number, _words(detail, text), HINTS.get((what, number)))
    if isinstance(failure, MountFailure):
        values = dict(zip([name for _, name in fields(operation.name)], operation.values, strict=True))
        failure.source, failure.target = str(values.get("source", "")), str(values["target"])
    return failure


def explain_step(what: str, pointer: str, number: int, b: int, text: str) -> PyruncError:
    """The same for an operation of which only the line in the `steps` file is left."""
    detail, own = detail_of(b)
    if what.startswith("run hook"):
        return hook_failure(pointer, what, number, detail, own, text)
    if what.startswith("run "):
        return exec_failure(pointer, number, text)
    return Failure(what, pointer, number, _words(detail, text), HINTS.get((what, number)))


def program_failure(name: str, pointer: str, number: int, detail: int, text: str) -> PyruncError:
    """argv[0] cannot be run: runc's texts, from which engines make exit codes 126 and 127."""
    if detail == protocol.DETAIL_NOT_IN_PATH:
        words = f'exec: "{name}": executable file not found in $PATH'
        hint = "PATH is that of process.env"
    elif detail == protocol.DETAIL_NO_SUCH_PROGRAM:
        words = f'exec: "{name}": stat {text or name}: no such file or directory'
        hint = "the path is looked up inside the container"
    elif detail == protocol.DETAIL_IS_FOLDER:
        words, hint = f'exec: "{name}": is a directory', "process.args[0] names a program"
    else:
        words = f'exec: "{name}": {os.strerror(number or errno.EACCES).lower()}'
        hint = "is it executable for process.user?"
    return PyruncError(words, pointer, hint)


def exec_failure(pointer: str, number: int, text: str) -> PyruncError:
    """execve itself said no."""
    hint = {
        errno.ENOENT: "its interpreter or dynamic loader is missing in the container",
        errno.ENOEXEC: "it is no program for this machine, or a script without #!",
        errno.EACCES: "it is not executable for this user, or on a noexec mount",
        errno.E2BIG: "arguments and environment are too long",
    }.get(number)
    error = PyruncError(f"exec {text}: {os.strerror(number).lower()}", pointer, hint)
    error.bare = True
    return error


def hook_failure(pointer: str, what: str, number: int, detail: int, own: int, text: str) -> PyruncError:
    """A hook that ran inside the container's namespaces: `error running createContainer hook #0: ...`."""
    kind, _, index = pointer.removeprefix("hooks.").rstrip("]").partition("[")
    if detail == protocol.DETAIL_HOOK_EXITED:
        words = f"exit status {own}"
    elif detail == protocol.DETAIL_HOOK_KILLED:
        words = f"signal: {(strsignal(own) or str(own)).lower()}"
    elif detail == protocol.DETAIL_HOOK_TIMEOUT:
        words = f"hook ran past specified timeout of {own / 1000:.1f}s"
    else:
        words = os.strerror(number).lower() if number else "it could not be run"
    if text.strip():
        words += f", output: {text.strip()}"
    return PyruncError(f"error running {kind} hook #{index}: {words}", pointer)


def vanished(pid: int) -> Failure:
    """The other side of the conversation ended without a word."""
    status = ""
    if pid:
        try:
            _, code = os.waitpid(pid, os.WNOHANG)
            if os.WIFSIGNALED(code):
                status = f"it was killed by signal {os.WTERMSIG(code)}"
                if os.WTERMSIG(code) == 9:
                    status = "container init was OOM-killed (memory limit too low?)"
        except ChildProcessError:
            pass
    return Failure(
        "prepare the container",
        detail=status or "the launcher ended unexpectedly",
        hint="see dmesg(1) for a kernel message",
    )


def _words(detail: int, text: str) -> str:
    words = WORDS.get(detail, "")
    if text and words:
        return (
            f"{words} {text}"
            if detail in NAMED
            else f"{words}: {text}"
        )
    return words or text
