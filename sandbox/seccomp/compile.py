"""Compiles linux.seccomp to flags and program for seccomp(2), by libseccomp. Loaded only when the cache has no filter.

Meaning as in runc: names that the library does not know are skipped, rules that repeat the default are skipped, several
conditions on one argument become several rules, and system calls newer than the newest that the profile names get
ENOSYS. Must not load a filter into the kernel; keeps nothing.
"""

from __future__ import annotations

import posix
from _struct import Struct

from pyrunc.sandbox.native._seccomp import ffi, lib
from pyrunc.sandbox.seccomp.conditions import EQUAL, GREATER, JUMP, LOAD, RETURN, decide, groups, ordered_rules
from pyrunc.sandbox.seccomp.names import (
    ACTIONS,
    DEFAULT_FLAGS,
    ENOSYS,
    EPERM,
    FLAGS,
    MACHINES,
    NEW_LISTENER,
    OPERATORS,
    PERMISSIVE,
    WITH_NUMBER,
)
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.seccomp.conditions import Instruction
    from pyrunc.specs.seccomp import Seccomp, SeccompArg

UNKNOWN = -1  # __NR_SCMP_ERROR; other negative numbers are system calls of other architectures
MANY_RULES = 32  # from here on a binary search over the numbers beats a list of comparisons
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
X32_BIT = 0x40000000

INSTRUCTION = Struct("=HBBI")  # struct sock_filter: code, jump if true, jump if false, k
ANY_BIT = 0x45
AT_NUMBER, AT_ARCHITECTURE = 0, 4  # offsets in struct seccomp_data


def compile_filter(seccomp: Seccomp, machine: str, fail_unknown: bool = False) -> tuple[int, bytes]:
    """(flags, program) for a machine (`uname -m`). Raises Invalid for words that have no meaning, Failure for what this
    release or this libseccomp cannot do."""
    default = action_number(seccomp.default_action, seccomp.default_errno_ret, f"{seccomp.pointer}.defaultAction")
    actions = [action_number(call.action, call.errno_ret, f"{call.pointer}.action") for call in seccomp.syscalls]
    native = token(MACHINES.get(machine, machine), seccomp.pointer)
    tokens = list(dict.fromkeys([native, *architectures(seccomp)]))
    context = lib.seccomp_init(default)
    if context == ffi.NULL:
        raise Failure("make a seccomp filter", seccomp.pointer, 12)
    try:
        for architecture in tokens:
            if lib.seccomp_arch_exist(context, architecture):
                result = lib.seccomp_arch_add(context, architecture)
                check(result, "add a seccomp architecture", f"{seccomp.pointer}.architectures")
        host = lib.seccomp_arch_native()
        if host not in tokens:  # only after another one is in: a filter without any is refused
            check(lib.seccomp_arch_remove(context, host), "remove a seccomp architecture", seccomp.pointer)
        notifies = add_rules(context, seccomp, actions, default, fail_unknown)
        program = exported(context, seccomp.pointer)
    finally:
        lib.seccomp_release(context)
    program = head(seccomp, actions, default, tokens) + program
    if len(program) > MAX_INSTRUCTIONS * INSTRUCTION.size:
        raise too_long(seccomp.pointer, str(len(program) // INSTRUCTION.size))
    return filter_flags(seccomp, notifies), program


def too_long(pointer: str, instructions: str) -> Failure:
    return Failure(
        "compile the seccomp filter", pointer, 7,
        f"{instructions} instructions, and the kernel takes {MAX_INSTRUCTIONS}",
        "name fewer architectures or fewer conditions on arguments",
    )  # fmt: skip


def filter_flags(seccomp: Seccomp, notifies: bool) -> int:
    """For seccomp(2); with a listener when some rule asks for one."""
    flags = NEW_LISTENER if notifies else 0
    if seccomp.flags is None:
        return flags | DEFAULT_FLAGS
    for index, name in enumerate(seccomp.flags):
        if name not in FLAGS:
            raise Invalid(f'unknown seccomp flag "{name}"', f"{seccomp.pointer}.flags[{index}]")
        # About notifications: the kernel refuses it without them.
        if notifies or name != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":
            flags |= FLAGS[name]
    return flags


def action_number(name: str, errno: int | None, pointer: str) -> int:
    """SECCOMP_RET_* with its number; EPERM when the document gives none."""
    if name not in ACTIONS:
        raise Invalid(f"string {name} is not a valid action for seccomp", pointer)
    if name in WITH_NUMBER:
        return ACTIONS[name] | ((EPERM if errno is None else errno) & 0xFFFF)
    if errno is not None:
        raise Invalid(f"{name} returns no errno", pointer)
    return ACTIONS[name]


def architectures(seccomp: Seccomp) -> list[int]:
    return [
        token(name.removeprefix("SCMP_ARCH_").lower(), f"{seccomp.pointer}.architectures[{index}]")
        for index, name in enumerate(seccomp.architectures)
    ]


def token(name: str, pointer: str) -> int:
    found = lib.seccomp_arch_resolve_name(name.encode())
    if not found:
        raise Failure(
            f"compile a seccomp filter for {name}", pointer, detail="this libseccomp does not know the architecture",
            hint="remove it from linux.seccomp.architectures, or use a newer libseccomp",
        )  # fmt: skip
    return found


def add_rules(context: object, seccomp: Seccomp, actions: list[int], default: int, fail_unknown: bool) -> bool:
    """Returns whether one of the rules notifies a listener."""
    notifies = False
    count = 0
    conditional = 0
    for syscall, action in zip(seccomp.syscalls, actions, strict=True):
        if action == default:
            continue
        rules = alternatives(syscall.args)
        for name in syscall.names:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number == UNKNOWN and fail_unknown:
                raise Failure(
                    f"add the seccomp rule for {name}", syscall.pointer, detail=f"invalid seccomp syscall `{name}`",
                    hint="the annotation run.oci.seccomp_fail_unknown_syscall asks for all to be known",
                )  # fmt: skip
            if number == UNKNOWN:
                continue  # newer than the library, or of another system: the profile is written for many
            notifies = notifies or action == ACTIONS["SCMP_ACT_NOTIFY"]
            conditional += len(rules) if syscall.args else 0
            if conditional > MAX_INSTRUCTIONS:  # libseccomp would take minutes to find out
                raise too_long(seccomp.pointer, f"more than {conditional - 1}")
            for conditions, array in rules:
                result = lib.seccomp_rule_add_array(context, action, number, conditions, array)
                check(result, f"add the seccomp rule for {name}", syscall.pointer)
            count += 1
    if count > MANY_RULES:
        result = lib.seccomp_attr_set(context, lib.SCMP_FLTATR_CTL_OPTIMIZE, 2)
        check(result, "optimize the seccomp filter", seccomp.pointer)
    return notifies


def alternatives(args: tuple[SeccompArg, ...]) -> list[tuple[int, object]]:
    """The conditions as rules for libseccomp, (count, array) each, of which one has to hold."""
    if not args:
        return [(0, ffi.NULL)]
    for argument in args:
        if argument.index > 5:
            raise Invalid("a system call has arguments 0 to 5", f"{argument.pointer}.index")
    found = []
    for group in groups(args):
        conditions = [
            {
                "arg": argument.index, "op": operator(argument.op, argument.pointer),
                "datum_a": argument.value, "datum_b": argument.value_two,
            }
            for argument in group
        ]  # fmt: skip
        found.append((len(group), ffi.new("struct scmp_arg_cmp[]", conditions)))
    return found


def operator(name: str, pointer: str) -> int:
    if name not in OPERATORS:
        raise Invalid(f"string {name} is not a valid operator for seccomp", f"{pointer}.op")
    return OPERATORS[name]


def exported(context: object, pointer: str) -> bytes:
    """The program that libseccomp made, native endian as the kernel wants it."""
    fd = posix.memfd_create("pyrunc-seccomp", posix.MFD_CLOEXEC)
    try:
        check(lib.seccomp_export_bpf(context, fd), "compile the seccomp filter", pointer)
        return posix.pread(fd, posix.fstat(fd).st_size, 0)
    finally:
        posix.close(fd)


def head(seccomp: Seccomp, actions: list[int], default: int, tokens: list[int]) -> bytes:
    """What comes before libseccomp's program, and runs into it for all that is not decided here: for each architecture
    the calls that are newer than the profile, and those whose conditions libseccomp gets wrong."""
    x86_64, x32, aarch64 = [lib.seccomp_arch_resolve_name(name) for name in (b"x86_64", b"x32", b"aarch64")]
    ordered = ordered_rules(seccomp, actions, default)
    blocks = []
    for architecture in tokens:
        if architecture == x32:  # its calls come as x86_64
            continue
        block = newer_calls(seccomp, default, architecture, x32 if architecture == x86_64 else 0, x32 in tokens)
        if architecture in (x86_64, aarch64):
            for name, rules in ordered.items():
                number = lib.seccomp_syscall_resolve_name_arch(architecture, name.encode())
                if number >= 0:
                    block += decide(number, rules, default)
        if block:
            blocks.append((architecture, [(LOAD, 0, 0, AT_NUMBER), *block]))
    code: list[Instruction] = []
    left = sum(len(block) + 3 for _, block in blocks)
    for architecture, block in blocks:
        left -= len(block) + 3
        code += [(EQUAL, 1, 0, architecture), (JUMP, 0, 0, len(block) + 1), *block, (JUMP, 0, 0, left)]
    if code:
        code.insert(0, (LOAD, 0, 0, AT_ARCHITECTURE))
    return b"".join([INSTRUCTION.pack(*instruction) for instruction in code])


def newer_calls(seccomp: Seccomp, default: int, architecture: int, x32: int, has_x32: bool) -> list[Instruction]:
    """Calls newer than the newest that the profile names return ENOSYS.

    A C library that tries a new system call first falls back to the old one on ENOSYS, but not on EPERM; a profile that
    is older than the call cannot have meant to forbid it. `x32` is 0 where there are no such calls.
    """
    unknown = ACTIONS["SCMP_ACT_ERRNO"] | ENOSYS
    last = newest_call(seccomp, architecture)
    if seccomp.default_action in PERMISSIVE or default == unknown or last < 0:
        return []
    code: list[Instruction] = []
    if x32:
        # These have a bit set; where the profile has no table for them, libseccomp's program refuses them all.
        last_x32 = newest_call(seccomp, x32) if has_x32 else -1
        if last_x32 >= 0:
            code = [(ANY_BIT, 0, 1, X32_BIT), (GREATER, 1, 2, last_x32)]
        else:
            code = [(ANY_BIT, 2, 0, X32_BIT)]
    return [*code, (GREATER, 0, 1, last), (RETURN, 0, 0, unknown)]


def newest_call(seccomp: Seccomp, architecture: int) -> int:
    """The largest number of the system calls that the profile names at all, below 0 when the architecture has none."""
    numbers = [
        lib.seccomp_syscall_resolve_name_arch(architecture, name.encode())
        for syscall in seccomp.syscalls
        for name in syscall.names
    ]
    return max(numbers, default=-1)


def check(result: int, operation: str, pointer: str) -> None:
    if result < 0:
        raise Failure(operation, pointer, -result)
