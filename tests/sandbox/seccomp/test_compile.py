"""What compiled filters decide, by an interpreter of their instructions, and what the kernel makes of them."""

from __future__ import annotations

import errno
import platform
import signal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyrunc.sandbox.native._seccomp", reason="the native module is not built")

from pyrunc.sandbox.native._seccomp import lib
from pyrunc.sandbox.seccomp.compile import compile_filter
from pyrunc.specs.errors import Failure, Invalid
from tests.sandbox.documents import seccomp
from tests.sandbox.seccomp.bpf import (
    ALLOW,
    ARCHES,
    ERRNO,
    KILL_PROCESS,
    KILL_THREAD,
    LOG,
    NOTIFY,
    TRACE,
    TRAP,
    X32_BIT,
    run,
    under,
)
from tests.sandbox.seccomp.profile import ALLOWED, NAMESPACES, condition, profile, rule

MACHINE = platform.machine()
ENOSYS = ERRNO | 38
NEWEST = 100000  # no architecture has so many system calls


def number(name: str, arch: str = "x86_64") -> int:
    return lib.seccomp_syscall_resolve_name_arch(lib.seccomp_arch_resolve_name(arch.encode()), name.encode())


def decide(document: dict[str, Any], name: str | int, *args: int, arch: str = "x86_64", machine: str = "x86_64") -> int:
    _, program = compile_filter(seccomp(**document), machine)
    return run(program, ARCHES[arch], number(name, arch) if isinstance(name, str) else name, args)


def small(*rules: dict[str, Any], default: str = "SCMP_ACT_ERRNO", **more: Any) -> dict[str, Any]:
    return {"defaultAction": default, "syscalls": list(rules), **more}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_large_profile(machine: str) -> None:
    """Every allowed call that the machine has is allowed, every other is refused, new ones are unknown."""
    document = profile()
    _, program = compile_filter(seccomp(**document), machine)
    arch = ARCHES[machine]
    allowed = {number(name, machine) for name in ALLOWED}
    special = {number(name, machine) for name in ("socket", "personality", "clone", "clone3")}
    newest = max(allowed | special)

    for call in range(newest + 1):
        if call not in special:
            assert run(program, arch, call) == (ALLOW if call in allowed else ERRNO | 1), call
    assert run(program, arch, newest + 1) == ENOSYS
    assert run(program, arch, NEWEST) == ENOSYS


def test_conditions_of_the_large_profile() -> None:
    """Conditions on arguments, and an errno of its own."""
    document = profile("X86_64", "X86", "X32")

    assert decide(document, "socket", 2) == ALLOW
    assert decide(document, "socket", 40) == ERRNO | 1
    assert decide(document, "personality", 0x20008) == ALLOW
    assert decide(document, "personality", 0x40000) == ERRNO | 1
    assert decide(document, "clone", 0x11) == ALLOW
    assert decide(document, "clone", 0x10000000) == ERRNO | 1
    assert decide(document, "clone3") == ENOSYS
    assert 0x10000000 & NAMESPACES


def test_architectures() -> None:
    """Native always, others as listed, each with its own numbers; what is not listed kills."""
    one = small(rule(["read", "openat2"]))
    three = {**one, "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}

    assert decide(one, "read") == ALLOW
    assert decide(one, "read", arch="x86") == KILL_THREAD
    assert decide(one, number("read") | X32_BIT) == KILL_THREAD
    assert decide(three, "read") == ALLOW
    assert decide(three, "read", arch="x86") == ALLOW
    assert decide(three, "write", arch="x86") == ERRNO | 1
    assert decide(three, "read", arch="x32") == ALLOW
    assert decide(one, "read", arch="aarch64", machine="aarch64") == ALLOW
    assert decide(one, "read", machine="aarch64") == KILL_THREAD


def test_newer_than_the_profile() -> None:
    """ENOSYS begins above the newest call that is named, by any rule, for each table of its own."""
    document = small(rule(["read", "openat2"]), architectures=["SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    last = number("openat2")

    assert decide(document, last - 1) == ERRNO | 1
    assert decide(document, last + 1) == ENOSYS
    assert decide(document, number("openat2", "x86") + 1, arch="x86") == ENOSYS
    assert decide(document, number("openat2", "x32") + 1) == ENOSYS
    assert decide(document, number("openat2", "x32") - 1) == ERRNO | 1
    named_by_default = small(rule(["read"]), rule(["openat2"], action="SCMP_ACT_ERRNO"))
    assert decide(named_by_default, last) == ERRNO | 1


@pytest.mark.parametrize("default", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
def test_no_stub_for_permissive(default: str) -> None:
    """Where unknown calls reach the kernel or a tracer, nobody needs our ENOSYS."""
    values = {"SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_LOG": LOG, "SCMP_ACT_TRACE": TRACE | 1}

    assert decide(small(rule(["read"], action="SCMP_ACT_TRAP"), default=default), NEWEST) == values[default]


@pytest.mark.parametrize(
    ("action", "errno_ret", "value"),
    [
        ("SCMP_ACT_KILL", None, KILL_THREAD),
        ("SCMP_ACT_KILL_THREAD", None, KILL_THREAD),
        ("SCMP_ACT_KILL_PROCESS", None, KILL_PROCESS),
        ("SCMP_ACT_TRAP", None, TRAP),
        ("SCMP_ACT_ERRNO", None, ERRNO | 1),
        ("SCMP_ACT_ERRNO", 0, ERRNO),
        ("SCMP_ACT_ERRNO", 95, ERRNO | 95),
        ("SCMP_ACT_TRACE", None, TRACE | 1),
        ("SCMP_ACT_TRACE", 7, TRACE | 7),
        ("SCMP_ACT_LOG", None, LOG),
        ("SCMP_ACT_ALLOW", None, ALLOW),
    ],
)
def test_actions(action: str, errno_ret: int | None, value: int) -> None:
    """Every action, as a rule and as the default, with EPERM where no number is given."""
    other = "SCMP_ACT_ALLOW" if action != "SCMP_ACT_ALLOW" else "SCMP_ACT_KILL"

    assert decide(small(rule(["read"], action=action, errnoRet=errno_ret), default=other), "read") == value
    document = small(rule(["openat2"], action=other), default=action, defaultErrnoRet=errno_ret)
    assert decide(document, "read") == value


big = st.sampled_from([0, 1, 5, 0xFFFFFFFF, 0x100000000, 0x100000001, 0x500000005, 2**64 - 1]) | st.integers(
    0, 2**64 - 1
)
HOLDS = {
    "NE": lambda a, v, w: a != v, "LT": lambda a, v, w: a < v, "LE": lambda a, v, w: a <= v,
    "EQ": lambda a, v, w: a == v, "GE": lambda a, v, w: a >= v, "GT": lambda a, v, w: a > v,
    "MASKED_EQ": lambda a, v, w: a & v == w & v,
}  # fmt: skip
terms = st.tuples(st.integers(0, 5), st.sampled_from(sorted(HOLDS)), big, big)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(terms, min_size=1, max_size=3), st.lists(st.tuples(big, big, big, big, big, big), min_size=1, max_size=5)
)
def test_operators(found: list[tuple[int, str, int, int]], samples: list[tuple[int, ...]]) -> None:
    """Conditions on different arguments must all hold, with two on the same argument one is enough; 64 bits each."""
    document = small(rule(["read"], *[condition(i, op, v, w) for i, op, v, w in found]))
    _, program = compile_filter(seccomp(**document), "x86_64")
    repeated = len({term[0] for term in found}) < len(found)

    for args in [*samples, *[tuple(term[2] for _ in range(6)) for term in found]]:
        holds = [HOLDS[op](args[index], value, two) for index, op, value, two in found]
        wanted = any(holds) if repeated else all(holds)
        assert run(program, ARCHES["x86_64"], 0, args) == (ALLOW if wanted else ERRNO | 1), (found, args)


def test_several_rules_for_one_call() -> None:
    """Rules of one system call are alternatives, also when a rule or a name comes twice."""
    document = small(
        rule(["read", "read"], condition(0, "EQ", 1)), rule(["read"], condition(0, "EQ", 2)), rule(["write"]),
        rule(["write"]), rule(["read"], condition(1, "EQ", 5)),
    )  # fmt: skip

    assert [decide(document, "read", fd) for fd in (0, 1, 2, 3)] == [ERRNO | 1, ALLOW, ALLOW, ERRNO | 1]
    assert decide(document, "read", 9, 5) == ALLOW
    assert decide(document, "write") == ALLOW


def test_rule_like_the_default() -> None:
    """A rule that says what the default says is no conflict."""
    document = small(rule(["read"], action="SCMP_ACT_ERRNO", errnoRet=1), rule(["openat2"]))

    assert decide(document, "read") == ERRNO | 1


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        (None, 4),
        ([], 0),
        (["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"], 2),
        (["SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], 4),
    ],
)
def test_flags(flags: list[str] | None, value: int) -> None:
    """Absent: speculation stays allowed, as in runc. Empty: none. What is about threads or listeners has nothing to act
    on."""
    assert compile_filter(seccomp(**small(rule(["read"]), flags=flags)), MACHINE)[0] == value


@pytest.mark.parametrize(
    ("flags", "names", "value"),
    [
        (None, ["mkdir"], 12), ([], ["mkdir"], 8), (["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"], ["mkdir"], 40),
        (["SECCOMP_FILTER_FLAG_TSYNC"], ["mkdir"], 8), ([], ["name_that_no_kernel_has"], 0),
    ],
)  # fmt: skip
def test_listener(flags: list[str] | None, names: list[str], value: int) -> None:
    """A rule that notifies makes loading give a listener, unless no kernel has its calls."""
    document = small(rule(names, action="SCMP_ACT_NOTIFY"), default="SCMP_ACT_ALLOW", flags=flags)
    found, program = compile_filter(seccomp(**document), "x86_64")

    assert found == value
    assert run(program, ARCHES["x86_64"], number("mkdir")) == (NOTIFY if value else ALLOW)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (small(rule(["read"], action="SCMP_ACT_MAYBE")), "not a valid action"),
        (small(rule(["read"], action="SCMP_ACT_KILL", errnoRet=1)), "returns no errno"),
        (small(default="SCMP_ACT_KILL", defaultErrnoRet=1), "returns no errno"),
        (small(rule(["read"], condition(0, "ABOUT", 1))), "not a valid operator"),
        (small(rule(["read"], condition(6, "EQ", 1))), "arguments 0 to 5"),
        (small(architectures=["SCMP_ARCH_PDP11"]), "pdp11.*does not know"),
        (small(architectures=["SCMP_ARCH_S390X"]), "EDOM"),
        (small(flags=["SECCOMP_FILTER_FLAG_X"]), "unknown seccomp flag"),
    ],
)
def test_refused(document: dict[str, Any], message: str) -> None:
    """What has no meaning, or cannot be done, is named with its place."""
    with pytest.raises((Invalid, Failure), match=message):
        compile_filter(seccomp(**document), "x86_64")


def test_too_long() -> None:
    """A filter that the kernel would refuse for its length is refused here, with the numbers."""
    rules = [rule(["read"], condition(0, "EQ", value << 32 | value)) for value in range(2000)]

    with pytest.raises(Failure, match=r"instructions, and the kernel takes 4096"):
        compile_filter(seccomp(**small(*rules)), "x86_64")


# -- the kernel's own opinion ----------------------------------------------------------------------------------------

pytestmark_kernel = pytest.mark.skipif(MACHINE not in ("x86_64", "aarch64"), reason="no number of seccomp(2) here")


@pytestmark_kernel
def test_process_under_the_large_profile() -> None:
    """A process lives under the profile: allowed calls work, others get EPERM, new ones ENOSYS."""
    machine = {"x86_64": ("X86_64", "X86", "X32"), "aarch64": ("AARCH64", "ARM")}[MACHINE]
    flags, program = compile_filter(seccomp(**profile(*machine)), MACHINE)
    swapon, getpid = number("swapon", MACHINE), number("getpid", MACHINE)
    done = under(flags, program, f"print(call({swapon}, 0, 0), call({NEWEST}), call({getpid}) == os.getpid())")

    assert done.stdout.split() == ["installed", str(-errno.EPERM), str(-errno.ENOSYS), "True"]


@pytestmark_kernel
@pytest.mark.parametrize("action", ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
def test_process_is_killed(action: str) -> None:
    """A call that is to kill does."""
    document = small(rule(["getppid"], action=action), default="SCMP_ACT_ALLOW")
    flags, program = compile_filter(seccomp(**document), MACHINE)
    done = under(flags, program, f"call({number('getppid', MACHINE)}); print('alive')")

    assert done.stdout.split() == ["installed"]
    assert done.returncode == -signal.SIGSYS


@pytestmark_kernel
def test_errno_of_the_rule() -> None:
    """The process sees the number that the document gives, for the argument that it is given for."""
    document = small(
        rule(["getpgid"], condition(0, "EQ", 1), action="SCMP_ACT_ERRNO", errnoRet=errno.EXDEV),
        default="SCMP_ACT_ALLOW",
    )
    flags, program = compile_filter(seccomp(**document), MACHINE)
    call = number("getpgid", MACHINE)
    done = under(flags, program, f"print(call({call}, 1), call({call}, 0) == os.getpgid(0))")

    assert done.stdout.split() == ["installed", str(-errno.EXDEV), "True"]
