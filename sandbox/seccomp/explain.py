"""Tells what a profile does to a system call, and why: the compiled filter decides, by an interpreter of its
instructions, and the document's rules are searched for the one that says so. Off every hot path.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from struct import pack, unpack_from

from pyrunc.sandbox.native._seccomp import ffi, lib
from pyrunc.sandbox.seccomp.compile import UNKNOWN, action_number, compile_filter
from pyrunc.sandbox.seccomp.conditions import groups
from pyrunc.sandbox.seccomp.names import ACTIONS, ENOSYS, MACHINES
from pyrunc.specs.errors import Invalid
from pyrunc.specs.seccomp import Seccomp, SeccompArg, SeccompSyscall

SIGNS = {"NE": "!=", "LT": "<", "LE": "<=", "EQ": "==", "GE": ">=", "GT": ">"}


@dataclass
class Rule:
    """A rule of the document that names the call: its place, what it does, when, and whether it holds here."""

    pointer: str
    action: str
    when: str
    holds: bool


@dataclass
class Verdict:
    """`pointer` is the place in the document that decides, `why` a sentence, `errno` a name or ""."""

    call: str
    number: int
    action: str
    errno: str
    pointer: str
    why: str
    rules: list[Rule] = field(default_factory=list)

    @property
    def refused(self) -> bool:
        return self.action not in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE")

    @property
    def conditional(self) -> bool:
        return any(rule.when for rule in self.rules)


class Explainer:
    """One profile on one machine (`uname -m`)."""

    def __init__(self, seccomp: Seccomp, machine: str) -> None:
        self._seccomp = seccomp
        self._token = lib.seccomp_arch_resolve_name(MACHINES.get(machine, machine).encode())
        _, self._program = compile_filter(seccomp, machine)

    def verdict(self, call: str, arguments: dict[int, int]) -> Verdict:
        """About a call by name or number; arguments that are not given are 0. Raises Invalid for no call."""
        number = (
            int(call, 0) if call[:1].isdigit() else lib.seccomp_syscall_resolve_name_arch(self._token, call.encode())
        )
        if number == UNKNOWN:
            raise Invalid(f"{call} is no system call that this libseccomp knows")
        if number < 0:
            raise Invalid(f"{call} is a system call of other architectures only")
        name = name_of(self._token, number) or call
        values = tuple(arguments.get(index, 0) for index in range(6))
        value = interpret(self._program, self._token, number, values)
        rules = [self._rule(item, values) for item in self._seccomp.syscalls if name in item.names]
        action, error = words(value)
        pointer, why = self._reason(value, rules)
        return Verdict(name, number, action, error, pointer, why, rules)

    def _rule(self, item: SeccompSyscall, values: tuple[int, ...]) -> Rule:
        alternatives = groups(item.args) if item.args else []
        holds = not item.args or any(all(met(one, values) for one in group) for group in alternatives)
        when = " or ".join(" and ".join(condition(one) for one in group) for group in alternatives)
        action, error = words(action_number(item.action, item.errno_ret, item.pointer))
        return Rule(item.pointer, f"{action} {error}".strip(), when, holds)

    def _reason(self, value: int, rules: list[Rule]) -> tuple[str, str]:
        decided = " ".join(words(value)).strip()
        for rule in sorted(rules, key=lambda rule: bool(rule.when)):  # without conditions first: those decide alone
            if rule.holds and rule.action == decided:
                return rule.pointer, f"because {rule.when}" if rule.when else "whatever its arguments are"
        default = action_number(
            self._seccomp.default_action, self._seccomp.default_errno_ret, f"{self._seccomp.pointer}.defaultAction"
        )
        pointer = f"{self._seccomp.pointer}.defaultAction".lstrip(".")
        if value == default:
            return pointer, "no rule that names it holds" if rules else "no rule names it"
        if value == ACTIONS["SCMP_ACT_ERRNO"] | ENOSYS:
            return pointer, "it is newer than every call that the profile names, so programs are told to do without"
        return pointer, "the machine's architecture is not in the profile"


def met(argument: SeccompArg, values: tuple[int, ...]) -> bool:
    """Whether a condition holds."""
    value, wanted = values[argument.index], argument.value
    if argument.op == "SCMP_CMP_MASKED_EQ":
        return value & wanted == argument.value_two & wanted
    return {
        "NE": value != wanted, "LT": value < wanted, "LE": value <= wanted,
        "EQ": value == wanted, "GE": value >= wanted, "GT": value > wanted,
    }[argument.op.removeprefix("SCMP_CMP_")]  # fmt: skip


def condition(argument: SeccompArg) -> str:
    """A condition as people write it."""
    if argument.op == "SCMP_CMP_MASKED_EQ":
        return f"arg{argument.index} & {argument.value:#x} == {argument.value_two & argument.value:#x}"
    return f"arg{argument.index} {SIGNS[argument.op.removeprefix('SCMP_CMP_')]} {argument.value:#x}"


def words(value: int) -> tuple[str, str]:
    """A filter's return value as action and errno."""
    name = next(
        (name for name, code in ACTIONS.items() if code == value & 0xFFFF0000 and name != "SCMP_ACT_KILL"), hex(value)
    )
    if name != "SCMP_ACT_ERRNO":
        return name, ""
    return name, errno.errorcode.get(value & 0xFFFF, str(value & 0xFFFF))


def name_of(token: int, number: int) -> str:
    """The name of a system call, "" for a number without one."""
    found = lib.seccomp_syscall_resolve_num_arch(token, number)
    if found == ffi.NULL:
        return ""
    try:
        return ffi.string(found).decode()
    finally:
        lib.free(found)


def interpret(program: bytes, architecture: int, number: int, arguments: tuple[int, ...]) -> int:
    """What the kernel would find: classic BPF over struct seccomp_data, as far as filters of libseccomp and ours go."""
    data = pack("<IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *arguments)
    accumulator = position = 0
    while True:
        code, yes, no, k = unpack_from("=HBBI", program, position * 8)
        position += 1
        if code == 0x20:
            accumulator = unpack_from("<I", data, k)[0]
        elif code == 0x54:
            accumulator &= k
        elif code == 0x05:
            position += k
        elif code == 0x06:
            return int(k)
        else:
            holds = {
                0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k, 0x45: bool(accumulator & k),
            }[code]  # fmt: skip
            position += yes if holds else no
