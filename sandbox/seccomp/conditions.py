"""Rules on arguments, compiled here instead of by libseccomp, for the one case that it gets wrong.

When several rules for one system call compare the same 64-bit argument by LT or LE, the program of libseccomp 2.5 may
compare the upper half of one rule with the lower half of another, and let through what the profile refuses. Such system
calls are decided completely by instructions that stand before libseccomp's. Pure; little-endian 64-bit machines.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.seccomp import Seccomp, SeccompArg

    Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k
    Rules = list[tuple[tuple[SeccompArg, ...], int]]  # conditions that must all hold, and the action then

LOAD, JUMP, EQUAL, GREATER, GREATER_OR_EQUAL, AND, RETURN = 0x20, 0x05, 0x15, 0x25, 0x35, 0x54, 0x06
FIRST_ARGUMENT = 16  # offset in struct seccomp_data
ORDER = ("SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE")
PASS, FAIL = -1, -2  # jump targets: the next condition, the next rule


def ordered_rules(seccomp: Seccomp, actions: list[int], default: int) -> dict[str, Rules]:
    """The system calls that have to be compiled here, with their rules; `actions` are those of `seccomp.syscalls`."""
    found: dict[str, Rules] = {}
    unconditional = set()
    for syscall, action in zip(seccomp.syscalls, actions, strict=True):
        if action == default:
            continue
        for name in syscall.names:
            if syscall.args:
                found.setdefault(name, []).extend([(group, action) for group in groups(syscall.args)])
            else:
                unconditional.add(name)  # such a rule decides alone, and libseccomp does that well
    return {
        name: rules
        for name, rules in found.items()
        if name not in unconditional and len(rules) > 1 and any(c.op in ORDER for group, _ in rules for c in group)
    }


def groups(args: tuple[SeccompArg, ...]) -> list[tuple[SeccompArg, ...]]:
    """Conditions that must hold together. libseccomp takes one for an argument, so with two on the same, as in runc,
    each becomes a rule of its own and one of them has to hold."""
    if len({argument.index for argument in args}) < len(args):
        return [(argument,) for argument in args]
    return [args]


def decide(number: int, rules: Rules, default: int) -> list[Instruction]:
    """Instructions that decide one system call, whose number is in the accumulator, and run past their end for others.

    Rules are tried in the order of the document.
    """
    code: list[Instruction] = []
    for conditions, action in rules:
        tests: list[Instruction] = []
        for condition in conditions:
            tests += compare(condition)
        end = len(tests) + 1  # behind the RETURN
        code += resolved(tests, FAIL, end)
        code.append((RETURN, 0, 0, action))
    code.append((RETURN, 0, 0, default))
    return [(EQUAL, 1, 0, number), (JUMP, 0, 0, len(code)), *code]


def compare(condition: SeccompArg) -> list[Instruction]:
    """The tests of one condition: 64 bits in two halves, the upper one first."""
    low = FIRST_ARGUMENT + 8 * condition.index
    value, mask = condition.value, 0
    if condition.op == "SCMP_CMP_MASKED_EQ":
        mask = condition.value
        value = condition.value_two & mask
    upper, lower = value >> 32, value & 0xFFFFFFFF
    load_upper, load_lower = (LOAD, 0, 0, low + 4), (LOAD, 0, 0, low)
    tests: dict[str, list[Instruction]] = {
        "SCMP_CMP_EQ": [load_upper, (EQUAL, 0, FAIL, upper), load_lower, (EQUAL, 0, FAIL, lower)],
        "SCMP_CMP_NE": [load_upper, (EQUAL, 0, PASS, upper), load_lower, (EQUAL, FAIL, 0, lower)],
        "SCMP_CMP_GT": [
            load_upper, (GREATER, PASS, 0, upper), (EQUAL, 0, FAIL, upper), load_lower, (GREATER, 0, FAIL, lower),
        ],
        "SCMP_CMP_GE": [
            load_upper, (GREATER, PASS, 0, upper), (EQUAL, 0, FAIL, upper), load_lower,
            (GREATER_OR_EQUAL, 0, FAIL, lower),
        ],
        "SCMP_CMP_LT": [
            load_upper, (GREATER, FAIL, 0, upper), (EQUAL, 0, PASS, upper), load_lower,
            (GREATER_OR_EQUAL, FAIL, 0, lower),
        ],
        "SCMP_CMP_LE": [
            load_upper, (GREATER, FAIL, 0, upper), (EQUAL, 0, PASS, upper), load_lower, (GREATER, FAIL, 0, lower),
        ],
        "SCMP_CMP_MASKED_EQ": [
            load_upper, (AND, 0, 0, mask >> 32), (EQUAL, 0, FAIL, upper),
            load_lower, (AND, 0, 0, mask & 0xFFFFFFFF), (EQUAL, 0, FAIL, lower),
        ],
    }  # fmt: skip
    chosen = tests[condition.op]
    return resolved(chosen, PASS, len(chosen))


def resolved(code: list[Instruction], label: int, end: int) -> list[Instruction]:
    """The code with jumps to `label` as jumps to the position `end`."""

    def distance(to: int, position: int) -> int:
        return end - position - 1 if to == label else to

    return [(op, distance(yes, at), distance(no, at), k) for at, (op, yes, no, k) in enumerate(code)]
