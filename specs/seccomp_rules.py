"""The rules about linux.seccomp; see `rules`, which loads this module when a document has it.

Rules look at the document alone: which system calls exist is for the compiler of filters to know.
"""

from __future__ import annotations

from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrunc.specs.seccomp import Seccomp, SeccompSyscall

ACTIONS = (
    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
)  # fmt: skip
ARCHITECTURES = (
    "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB", "SCMP_ARCH_X32",
    "SCMP_ARCH_X86", "SCMP_ARCH_X86_64",
)  # fmt: skip
OPERATORS = (
    "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
)  # fmt: skip
FLAGS = (
    "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
)  # fmt: skip
MAX_ERRNO = 4095
MAX_DATA = 0xFFFF
CLAUSE = "config-linux.md#seccomp"


def seccomp_problems(seccomp: Seccomp) -> Iterator[Invalid]:
    for rule in RULES:
        yield from rule(seccomp)
    for syscall in seccomp.syscalls:
        for syscall_rule in SYSCALL_RULES:
            yield from syscall_rule(syscall)


def default_action(seccomp: Seccomp) -> Iterator[Invalid]:
    pointer = f"{seccomp.pointer}.defaultAction"
    yield from known_action(seccomp.default_action, pointer)
    yield from fitting_errno(seccomp.default_errno_ret, seccomp.default_action, f"{seccomp.pointer}.defaultErrnoRet")
    if seccomp.default_action == "SCMP_ACT_NOTIFY":
        # The agent's own answer would have to be asked of the agent.
        yield Invalid("SCMP_ACT_NOTIFY cannot be used as default action", pointer, clause=CLAUSE)


def known_action(action: str, pointer: str) -> Iterator[Invalid]:
    if action not in ACTIONS:
        yield Invalid(f"string {action} is not a valid action for seccomp", pointer, clause=CLAUSE)


def fitting_errno(number: int | None, action: str, pointer: str) -> Iterator[Invalid]:
    if number is None:
        return
    if action not in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        yield Invalid(f"{action} returns no errno", pointer, clause=CLAUSE)
    elif number > (MAX_ERRNO if action == "SCMP_ACT_ERRNO" else MAX_DATA):
        yield Invalid(f"{number} is too large for {action}", pointer, clause=CLAUSE)


def architectures(seccomp: Seccomp) -> Iterator[Invalid]:
    for index, name in enumerate(seccomp.architectures):
        if name not in ARCHITECTURES:
            message = f"string {name} is not a valid arch for seccomp"
            yield Invalid(message, f"{seccomp.pointer}.architectures[{index}]", clause=CLAUSE)


def flags(seccomp: Seccomp) -> Iterator[Invalid]:
    for index, name in enumerate(seccomp.flags or ()):
        if name not in FLAGS:
            yield Invalid(f'unknown seccomp flag "{name}"', f"{seccomp.pointer}.flags[{index}]", clause=CLAUSE)


def listener(seccomp: Seccomp) -> Iterator[Invalid]:
    if seccomp.listener_path:
        return
    if seccomp.listener_metadata:
        message = "listenerMetadata must not be set without listenerPath"
        yield Invalid(message, f"{seccomp.pointer}.listenerMetadata", clause=CLAUSE)
    for syscall in seccomp.syscalls:
        if syscall.action == "SCMP_ACT_NOTIFY":
            yield Invalid("SCMP_ACT_NOTIFY needs a listenerPath", f"{syscall.pointer}.action", clause=CLAUSE)


RULES = (default_action, architectures, flags, listener)


def names(syscall: SeccompSyscall) -> Iterator[Invalid]:
    if not syscall.names or "" in syscall.names:
        yield Invalid("at least one system call must be named", f"{syscall.pointer}.names", clause=CLAUSE)


def action(syscall: SeccompSyscall) -> Iterator[Invalid]:
    yield from known_action(syscall.action, f"{syscall.pointer}.action")
    yield from fitting_errno(syscall.errno_ret, syscall.action, f"{syscall.pointer}.errnoRet")
    if syscall.action == "SCMP_ACT_NOTIFY" and "write" in syscall.names:
        # The runtime itself writes after the filter is in force, before anyone answers.
        yield Invalid("SCMP_ACT_NOTIFY cannot be used for the write syscall", syscall.pointer, clause=CLAUSE)


def arguments(syscall: SeccompSyscall) -> Iterator[Invalid]:
    for arg in syscall.args:
        if arg.index > 5:
            yield Invalid("a system call has the arguments 0 to 5", f"{arg.pointer}.index", clause=CLAUSE)
        if arg.op not in OPERATORS:
            message = f"string {arg.op} is not a valid operator for seccomp"
            yield Invalid(message, f"{arg.pointer}.op", clause=CLAUSE)


SYSCALL_RULES = (names, action, arguments)
