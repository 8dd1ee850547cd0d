"""Filters and hooks: what is loaded into the kernel, and what runs, on the way to the container's program."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pyrunc.sandbox import protocol
from pyrunc.sandbox.plan import Operation, op, sync
from tests.sandbox.native.harness import NEWNS, NEWPID, PROC, Message, Result, Talk, container, execute, mount, shell

Run = Callable[..., Result]
Refusal = Callable[..., Message]


# -- seccomp -----------------------------------------------------------------------------------------------------------


def deny(number: int, action: int) -> bytes:
    """A filter that gives `action` for one system call of x86_64 or aarch64 and allows the rest."""
    load, jump, give = 0x20, 0x15, 0x06
    code = [(load, 0, 0, 0), (jump, 0, 1, number), (give, 0, 0, action), (give, 0, 0, 0x7FFF0000)]
    return b"".join(struct.pack("<HBBI", *step) for step in code)


MKDIRAT, MKDIR = (34, None) if os.uname().machine == "aarch64" else (258, 83)


@pytest.mark.parametrize("early", [False, True], ids=["no_new_privs", "privileged"])
def test_seccomp(run: Run, rootfs: Path, early: bool) -> None:
    """The filter holds for the program, loaded with no_new_privs or with privilege."""
    filters = [op("seccomp", "", 0, deny(number, 0x50000 | 99), phase="seal") for number in (MKDIRAT, MKDIR) if number]
    late = filters if early else [op("no_new_privileges", "", phase="seal"), *filters]

    result = run(
        container(rootfs, shell("busybox mkdir /work/x || grep Seccomp: /proc/self/status"), [PROC], late=late)
    )

    assert result.failure is None
    assert result.output.splitlines()[-1] == "Seccomp:\t2"
    assert not (rootfs / "work/x").exists()


@pytest.mark.parametrize("program", [b"", b"\0" * 7, b"\0" * 8, b"\0" * 8 * 4097])
def test_seccomp_filter_that_is_none(refusal: Refusal, program: bytes) -> None:
    """Bytes that are no filter are EINVAL, whether by length or by the kernel's word."""
    assert refusal(late=[op("seccomp", "", 0, program, phase="seal")]).a == 22


def test_seccomp_listener_is_told(launcher: Path, rootfs: Path) -> None:
    """After a filter with a listener, the SYNC has the listener's number, from which pidfd_getfd gets it."""
    new_listener, notify = 1 << 3, 0x7FC00000
    late = [
        op("no_new_privileges", "", phase="seal"),
        op("seccomp", "", new_listener, deny(MKDIRAT, notify), phase="seal"),
        sync("listener", "", "seal"),
    ]
    talk = Talk(launcher, container(rootfs, ["/bin/true"], [PROC], late=late))
    message = talk.until("listener")
    assert os.readlink(f"/proc/{talk.init}/fd/{message.b}") == "anon_inode:seccomp notify"
    talk.go(message.at)

    assert talk.end().status == 0


# -- devices of the cgroup ---------------------------------------------------------------------------------------------


def device_program(allow: int) -> bytes:
    return struct.pack("<BBhi", 0xB7, 0, 0, allow) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = allow; exit


@pytest.mark.parametrize(
    "prepared", [(), (device_program(0),), (device_program(0), device_program(1)), (b"seven b",), (bytes(4096),)]
)
def test_attach_devices_replaces(launcher: Path, rootfs: Path, prepared: Sequence[bytes]) -> None:
    """The filter decides about devices of the cgroup, and a second one takes the place of the first; whatever was
    prepared, it is the plan's."""
    base = next(
        (p for p in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")) if (p / "cgroup.controllers").exists()),
        None,
    )
    if base is None:
        pytest.skip("needs a cgroup v2 mount")
    folder = base / f"pyrunc-devices-{os.getpid()}"
    folder.mkdir()
    cgroup = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    outputs = []
    try:
        for verdicts in ((1,), (0,), (0, 1), (1, 0)):
            first = [op("attach_devices", "", "cgroup", device_program(verdict)) for verdict in verdicts]
            plan = container(
                rootfs,
                shell("echo < /work/zero && echo read"),
                [mount("/work", "tmpfs"), op("mknod", "", 0o20666, 1, 5, 0, 0, "/work/zero")],
                first=first,
            )
            plan[len(first)] = op("spawn", "", NEWNS | NEWPID, "cgroup")
            result = Talk(launcher, plan, {"cgroup": cgroup}, prepare=prepared).end()
            outputs.append("mknod" if result.failure else "read" if "read" in result.output else "denied")
    finally:
        os.close(cgroup)
        folder.rmdir()

    assert outputs == ["read", "mknod", "read", "mknod"]


# -- hooks -------------------------------------------------------------------------------------------------------------


def hook(script: str, timeout: int = 0, env: Sequence[str] = (), tolerate: str = "", phase: str = "hooks") -> Operation:
    args = ["sh", "-c", script]  # argv[0] tells busybox what to be: it has to arrive as given
    return op("hook", "", timeout, "/bin/busybox", args, list(env), b'{"pid":', b"}", phase=phase, tolerate=tolerate)


def test_hook_reads_the_state_with_its_pid(run: Run, rootfs: Path, tmp_path: Path) -> None:
    """Standard input is head, init's own pid, tail; before the pivot the host's files are in view."""
    out = tmp_path / "state"
    plan = container(rootfs, ["/bin/true"])
    plan.insert(-3, hook(f"busybox cat > {out}"))

    result = run(plan)

    assert result.failure is None
    assert out.read_text() == '{"pid":1}'


def test_hook_has_its_environment_only(run: Run, rootfs: Path, tmp_path: Path) -> None:
    """The environment is empty or as given; with keep_env it is the process's, with HOME."""
    seen = []
    for late, env, tolerate in (([], (), ""), ([], ("A=b",), ""), ([op("home", "", 0)], (), "keep_env")):
        plan = container(
            rootfs,
            ["/bin/true"],
            late=[*late, hook("env > /work/env", env=env, tolerate=tolerate, phase="start")],
            env=["PATH=/bin", "P=q"],
        )
        assert run(plan).failure is None
        lines = set((rootfs / "work/env").read_text().split()) - {"SHLVL=1", "PWD=/", "OLDPWD=/"}
        seen.append({line for line in lines if not line.startswith(("_=", "PATH=/sbin"))})

    assert seen == [set(), {"A=b"}, {"PATH=/bin", "P=q", "HOME=/root"}]


@pytest.mark.parametrize(
    "script, timeout, detail, number, text",
    [
        ("echo out; echo err >&2; exit 3", 0, protocol.DETAIL_HOOK_EXITED, 3, "out\nerr\n"),
        ("echo bye; kill -9 $$", 0, protocol.DETAIL_HOOK_KILLED, 9, "bye\n"),
        ("echo slow; sleep 30", 300, protocol.DETAIL_HOOK_TIMEOUT, 300, "slow\n"),
        ("busybox yes; exit 1", 500, protocol.DETAIL_HOOK_TIMEOUT, 500, "y\n" * 1024),
    ],
)
def test_hook_that_fails(
    run: Run, rootfs: Path, script: str, timeout: int, detail: int, number: int, text: str
) -> None:
    """The failure tells status, signal or time and what the hook wrote, at most 2 kB; nothing waits for more."""
    plan = container(rootfs, ["/bin/true"], late=[hook(script, timeout, phase="start")])
    begun = time.monotonic()
    failure = run(plan).failure

    assert failure is not None
    assert (failure.a, failure.detail, failure.number, failure.text) == (0, detail, number, text)
    assert time.monotonic() - begun < 10


def test_hook_that_cannot_be_started(run: Run, rootfs: Path) -> None:
    """A missing file is told by errno."""
    plan = container(rootfs, ["/bin/true"])
    plan.insert(-3, op("hook", "", 0, "/no/such/hook", ["x"], [], b"", b"", phase="hooks"))
    failure = run(plan).failure

    assert failure is not None
    assert (failure.a, failure.detail) == (2, protocol.DETAIL_HOOK_START)


def test_hook_with_a_child_that_stays(run: Run, rootfs: Path) -> None:
    """A hook is over when it ends, though a child of it holds its output."""
    begun = time.monotonic()
    result = run(container(rootfs, ["/bin/true"], late=[hook("sleep 5 & exit 0", phase="start")]))

    assert result.failure is None
    assert time.monotonic() - begun < 4


def test_hook_gets_no_fds(run: Run, rootfs: Path) -> None:
    """Nothing of the launcher's is open in a hook, and nothing that its caller had open."""
    plan = container(rootfs, ["/bin/true"], [PROC], late=[hook("echo /proc/self/fd/*; exit 1", phase="start")])
    leak = os.open("/", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        failure = run(plan, passed=[leak]).failure
    finally:
        os.close(leak)

    assert failure is not None
    numbers = [path.rpartition("/")[2] for path in failure.text.split()]
    assert numbers == ["0", "1", "2", "3"]  # 3: the folder that the shell itself reads


def test_process_after_a_hook_is_untouched(run: Run, rootfs: Path) -> None:
    """Hooks leave no mark on the process: same streams, no children, umask as before."""
    # Of the shell's own making: what a pipe or another program starts may or may not be seen any more.
    script = "umask; for process in /proc/[0-9]*; do echo $process; done; read -r children < /proc/self/task/1/children"
    script += "; echo children: $children"
    plain = run(container(rootfs, shell(script), [PROC])).output
    late = [hook("umask 077; exit 0", phase="start")]

    assert run(container(rootfs, shell(script), [PROC], late=late)).output == plain


def test_plan_without_exec_ends_well(run: Run) -> None:
    """A plan may do something and end."""
    assert run([op("spawn", "", NEWPID, ""), op("new_session", "")]).status == 0


def test_rendezvous_carries_on(run: Run) -> None:
    """Several rendezvous follow each other with their numbers."""
    plan = [op("spawn", "", 0, ""), sync("network", "", "identity"), sync("hooks", "", "hooks"), *execute("/bin/true")]
    result = run(plan)

    assert [message.a for message in result.messages[1:]] == [2, 3]
    assert result.status == 0
