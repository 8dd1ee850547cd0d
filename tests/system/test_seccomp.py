"""Seccomp: actions, argument operators, flags, and when the filter comes into force."""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from .box import Box
from .conftest import Bundle

NUMBERS = (
    {"personality": 135, "getpriority": 140, "sync": 162}
    if os.uname().machine == "x86_64"
    else {"personality": 92, "getpriority": 141, "sync": 81}
)


def filtered(box: Box, probe: Path, *rules: dict[str, Any], default: str = "SCMP_ACT_ALLOW", **more: Any) -> Box:
    if not (box.rootfs / "probe").exists():
        os.link(probe, box.rootfs / "probe")
    box.linux["seccomp"] = {"defaultAction": default, "syscalls": list(rules), **more}
    return box


def rule(name: str, action: str = "SCMP_ACT_ERRNO", **more: Any) -> dict[str, Any]:
    return {"names": [name], "action": action, **more}


def argument(index: int, value: int, op: str, two: int = 0) -> dict[str, Any]:
    return {"index": index, "value": value, "valueTwo": two, "op": f"SCMP_CMP_{op}"}


def call(name: str, *arguments: int) -> str:
    return " ".join(["/probe syscall", str(NUMBERS[name]), *map(str, arguments)])


@pytest.mark.unlike("crun", "its cache of filters does not tell them apart")
@pytest.mark.parametrize(
    ("more", "number"), [({}, errno.EPERM), ({"errnoRet": errno.ENOTTY}, errno.ENOTTY), ({"errnoRet": 0}, 0)]
)
def test_errno(bundle: Bundle, probe: Path, more: dict[str, Any], number: int) -> None:
    """ERRNO makes a call fail with errnoRet, EPERM without it, also right after a filter that differs in that alone."""
    box = filtered(bundle(), probe, rule("personality", **more))

    assert box.output_of(f"{call('personality', 0xFFFFFFFF)}; {call('getpriority', 0, 0)}").split() == [
        str(number),
        "0",
    ]


def test_default_errno(bundle: Bundle, probe: Path) -> None:
    """defaultErrnoRet is the error of all that no rule allows."""
    allowed = rule("personality", "SCMP_ACT_ERRNO", errnoRet=errno.ENOTTY)
    box = filtered(bundle(), probe, rule("getpriority", "SCMP_ACT_ERRNO", errnoRet=errno.EXDEV), allowed)

    assert box.output_of(f"{call('personality', 0)}; {call('getpriority', 0, 0)}").split() == [
        str(errno.ENOTTY),
        str(errno.EXDEV),
    ]


@pytest.mark.parametrize(
    ("arguments", "hit", "miss"),
    [
        ([argument(0, 2, "EQ")], [2], [1, 3]),
        ([argument(0, 2, "NE")], [1, 3], [2]),
        ([argument(0, 2, "LT")], [0, 1], [2, 3]),
        ([argument(0, 2, "LE")], [1, 2], [3]),
        ([argument(0, 2, "GT")], [3, 1 << 40], [1, 2]),
        ([argument(0, 2, "GE")], [2, 3], [1]),
        ([argument(0, 6, "MASKED_EQ", 2)], [2, 3, 11], [0, 4, 6]),
        ([argument(0, 2, "EQ"), argument(0, 5, "EQ")], [2, 5], [0, 7]),
    ],
    ids=["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ", "twice"],
)
def test_operators(
    bundle: Bundle, probe: Path, arguments: list[dict[str, Any]], hit: list[int], miss: list[int]
) -> None:
    """A rule with arguments matches exactly the calls that it says; one index twice means either."""
    box = bundle()
    filtered(box, probe, rule("getpriority", errnoRet=errno.EXDEV, args=arguments))

    out = box.output_of("; ".join(call("getpriority", value, 0) for value in [*hit, *miss])).split()

    assert out[: len(hit)] == [str(errno.EXDEV)] * len(hit)
    assert str(errno.EXDEV) not in out[len(hit) :]


def test_arguments_are_anded(bundle: Bundle, probe: Path) -> None:
    """All arguments of a rule have to match."""
    both = [argument(0, 1, "EQ"), argument(1, 9999, "EQ")]
    box = filtered(bundle(), probe, rule("getpriority", errnoRet=errno.EXDEV, args=both))

    out = box.output_of(
        f"{call('getpriority', 1, 9999)}; {call('getpriority', 0, 9999)}; {call('getpriority', 1, 0)}"
    ).split()

    assert out[0] == str(errno.EXDEV)
    assert str(errno.EXDEV) not in out[1:]


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"])
def test_kill(bundle: Bundle, probe: Path, action: str) -> None:
    """KILL and TRAP end the process with SIGSYS."""
    box = filtered(bundle(), probe, rule("sync", action))

    assert (
        box.output_of(f"{call('sync')}; echo $?") == str(128 + 31)
        or "Bad system call" in box.sh(call("sync")).run().err
    )


def test_log(bundle: Bundle, probe: Path) -> None:
    """LOG lets the call happen."""
    box = filtered(bundle(), probe, rule("sync", "SCMP_ACT_LOG"))

    assert box.output_of(call("sync")) == "0"


def test_default_log(bundle: Bundle, probe: Path) -> None:
    """A default action of LOG allows what no rule forbids."""
    box = filtered(bundle(), probe, rule("sync"), default="SCMP_ACT_LOG")

    assert box.output_of(f"{call('sync')}; {call('getpriority', 0, 0)}").split() == [str(errno.EPERM), "0"]


def test_unknown_call(bundle: Bundle, probe: Path) -> None:
    """A name of a system call that nobody knows is passed over."""
    box = filtered(bundle(), probe, rule("surprise_call"), rule("sync"))

    assert box.output_of(call("sync")) == str(errno.EPERM)


@pytest.mark.parametrize(
    "broken",
    [
        {"defaultAction": "SCMP_ACT_SURPRISE"},
        {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_SURPRISE"]},
        {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_SURPRISE"]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_SURPRISE"}]},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("sync", args=[argument(0, 1, "SURPRISE")])]},
    ],
    ids=["default", "architecture", "flag", "action", "operator"],
)
def test_bad_words(bundle: Bundle, broken: dict[str, Any]) -> None:
    """An action, architecture, flag or operator that nobody knows is an error."""
    box = bundle("true")
    if box.runtime.kind == "crun" and broken.get("architectures"):
        pytest.skip("crun: passes over architectures")
    box.linux["seccomp"] = {**broken} if "syscalls" in broken else {**broken, "syscalls": [rule("sync")]}

    assert not box.run().ok


@pytest.mark.parametrize("privileges", [True, False])
def test_early_calls(bundle: Bundle, probe: Path, privileges: bool) -> None:
    """A filter that forbids what a runtime does to set up a container does not hit the runtime."""
    names = [
        "mount",
        "pivot_root",
        "umount2",
        "unshare",
        "setns",
        "sethostname",
        "mknodat",
        "chroot",
        "fsopen",
        "move_mount",
    ]
    box = filtered(bundle(), probe, *[rule(name, "SCMP_ACT_KILL_PROCESS") for name in names])
    box.process["noNewPrivileges"] = not privileges
    box.capabilities("CAP_SYS_ADMIN")

    assert box.output_of("echo fine") == "fine"
    assert box.sh("mount -t tmpfs tmpfs /tmp; echo $?").run().out.strip() != "0"


def test_mode(bundle: Bundle, probe: Path) -> None:
    """The process is in filter mode with a document's filter, and not without one."""
    box = bundle()
    assert box.output_of("grep Seccomp: /proc/self/status").split()[1] == "0"

    filtered(box, probe, rule("sync"))
    assert box.output_of("grep Seccomp: /proc/self/status").split()[1] == "2"


@pytest.mark.unlike("crun", "its cache of filters takes that of an earlier test")
def test_exec_too(bundle: Bundle, probe: Path) -> None:
    """`exec` is under the same filter."""
    box = filtered(bundle(), probe, rule("sync", errnoRet=errno.EXDEV)).up()

    assert box.exec(*call("sync").split()).out.strip() == str(errno.EXDEV)


def test_architectures(bundle: Bundle, probe: Path) -> None:
    """Listed architectures work, the machine's own among them."""
    names = (
        ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
        if os.uname().machine == "x86_64"
        else ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    )
    box = filtered(bundle(), probe, rule("sync"), architectures=names)

    assert box.output_of(call("sync")) == str(errno.EPERM)


@pytest.mark.unlike("crun", "says EPERM")
def test_new_calls_are_unknown(bundle: Bundle, probe: Path) -> None:
    """With an allow-list, a call newer than any rule is ENOSYS, so that programs fall back."""
    box = bundle()
    os.link(probe, box.rootfs / "probe")
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [{"names": ALLOWED, "action": "SCMP_ACT_ALLOW"}],
    }
    box.process["args"] = ["/probe", "syscall", "1000"]

    result = box.run()

    assert result.out.strip() == str(errno.ENOSYS), result


ALLOWED = (
    "execve exit exit_group brk mmap munmap mprotect read write writev readv fstat newfstatat ioctl arch_prctl "
    "set_tid_address set_robust_list rseq prlimit64 readlink readlinkat getrandom uname fcntl futex close "
    "openat rt_sigaction rt_sigprocmask getpid prctl getcwd chdir setuid setgid setgroups capset capget getppid "
    "gettid tgkill epoll_pwait epoll_ctl nanosleep clock_gettime sched_yield sigaltstack madvise mremap lseek "
    "dup3 pipe2 sendmsg recvmsg poll ppoll faccessat2 statx close_range stat lstat access faccessat fstatfs "
    "statfs openat2 pread64 pwrite64 tkill unlinkat dup dup2 clock_nanosleep socket connect sendto recvfrom "
    "open getuid geteuid getgid getegid seccomp clone clone3 wait4 waitid kill epoll_create1 eventfd2 "
    "getdents64 sched_getaffinity restart_syscall"
).split()


def test_listener(bundle: Bundle, probe: Path) -> None:
    """NOTIFY hands the state and the listener to the socket of listenerPath, with its metadata as it is."""
    box = bundle()
    path = box.folder / "listener.sock"
    got: list[tuple[dict[str, Any], int]] = []

    def serve(server: socket.socket) -> None:
        try:
            connection, _ = server.accept()
        except OSError:  # nobody came
            return
        message, fds, _, _ = socket.recv_fds(connection, 65536, 4)
        got.append((json.loads(message), len(fds)))
        for fd in fds:  # nobody answers then: the call is ENOSYS
            os.close(fd)

    filtered(box, probe, rule("sync", "SCMP_ACT_NOTIFY"), listenerPath=str(path), listenerMetadata="a b")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            out = box.output_of(call("sync"))
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()

    assert out == str(errno.ENOSYS)
    message, count = got[0]
    assert count == 1
    assert message["fds"] == ["seccompFd"]
    assert message["metadata"] == "a b"
    assert message["pid"] > 0
    assert message["state"]["id"] == box.id
    assert message["state"]["status"] == "creating"


@pytest.mark.unlike("crun", "goes on without one")
def test_listener_missing(bundle: Bundle, probe: Path) -> None:
    """NOTIFY without a listener that answers is an error."""
    box = filtered(bundle(), probe, rule("sync", "SCMP_ACT_NOTIFY"))
    assert not box.sh("true").run().ok

    box.linux["seccomp"]["listenerPath"] = str(box.folder / "nobody.sock")
    assert not box.sh("true").run().ok
