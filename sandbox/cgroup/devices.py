"""Device rules: who may open and make which device nodes, as an eBPF program (cgroup v2) or as writes (cgroup v1).

Rules are evaluated in order and the last one that matches wins, for each kind of access on its own. Rules that every
container needs come after those of the document, as in runc. Pure; on the hot path; must not know where cgroups are.
"""

from __future__ import annotations

from _struct import Struct

from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyrunc.specs.runtime import DeviceRule

    Rule = tuple[bool, str, int | None, int | None, int, str]  # allow, type, major, minor (None: any), access, pointer
    Key = tuple[str, int | None, int | None]

MKNOD, READ, WRITE = 1, 2, 4  # BPF_DEVCG_ACC_*
ALL = MKNOD | READ | WRITE
ACCESS = {"m": MKNOD, "r": READ, "w": WRITE}

# What every container may do, runc's list: make any node (opening it is another matter), and use the harmless ones.
DEFAULT_RULES: tuple[Rule, ...] = (
    (True, "c", None, None, MKNOD, ""),
    (True, "b", None, None, MKNOD, ""),
    (True, "c", 1, 3, ALL, ""),  # null
    (True, "c", 1, 8, ALL, ""),  # random
    (True, "c", 1, 7, ALL, ""),  # full
    (True, "c", 5, 0, ALL, ""),  # tty
    (True, "c", 1, 5, ALL, ""),  # zero
    (True, "c", 1, 9, ALL, ""),  # urandom
    (True, "c", 136, None, ALL, ""),  # pts/*; the container's console is one of them
    (True, "c", 5, 2, ALL, ""),  # ptmx
    (True, "c", 10, 200, ALL, ""),  # net/tun: guarded by CAP_NET_ADMIN, and images count on it
)


def rules(devices: Iterable[DeviceRule]) -> tuple[bool, list[Rule]]:
    """(what holds where no rule matches, rules in order). A rule of type `a` overrides all before it, whatever numbers
    and access it has."""
    base = False
    found: list[Rule] = []
    for device in devices:
        if device.type == "a":
            base = device.allow
            found.clear()
            continue
        if device.type not in ("b", "c"):
            raise Invalid(f"a device rule has type a, b or c, not {device.type!r}", f"{device.pointer}.type")
        access = 0
        for letter in device.access.replace("a", ""):
            if letter not in ACCESS:
                raise Invalid(f"device access is made of r, w and m, not {device.access!r}", f"{device.pointer}.access")
            access |= ACCESS[letter]
        for name, number in (("major", device.major), ("minor", device.minor)):
            if number is not None and not 0 <= number <= 0xFFFFFFFF:
                raise Invalid(f"{number} is no device number", f"{device.pointer}.{name}")
        found.append((device.allow, device.type, device.major, device.minor, access, device.pointer))
    found += DEFAULT_RULES
    return base, found


def allows_all(base: bool, found: list[Rule]) -> bool:
    """Nothing is ever refused, so there is nothing to do."""
    if base:
        for rule in found:
            base = base and rule[0]
    return base


# -- cgroup v2: an eBPF program ---------------------------------------------------------------------------------------

_INSTRUCTION = Struct("<BBhi")  # code, destination | source << 4, offset, immediate
_TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_*
_MAX_JUMP = 0x7FFF

# Registers: r1 the context, r2 type of device, r3 kinds of access not yet allowed, r4 major, r5 minor, r0 the answer.
_PROLOGUE = (
    (0x61, 0x12, 0, 0),  # r2 = *(u32 *)(r1 + 0)      access << 16 | type
    (0xBF, 0x23, 0, 0),  # r3 = r2
    (0x57, 0x02, 0, 0xFFFF),  # r2 &= 0xffff
    (0x77, 0x03, 0, 16),  # r3 >>= 16
    (0x61, 0x14, 4, 0),  # r4 = *(u32 *)(r1 + 4)      major
    (0x61, 0x15, 8, 0),  # r5 = *(u32 *)(r1 + 8)      minor
)
_JA, _JEQ, _JSET, _JNE, _AND = 0x05, 0x15, 0x45, 0x55, 0x57
_RETURN = {False: ((0xB7, 0, 0, 0), (0x95, 0, 0, 0)), True: ((0xB7, 0, 0, 1), (0x95, 0, 0, 0))}  # r0 = 0 or 1; exit


def program(base: bool, found: list[Rule]) -> bytes:
    """A BPF_PROG_TYPE_CGROUP_DEVICE program: the rules from last to first, each deciding what it matches.

    An open for reading and writing asks for both at once. A rule that denies either denies the open; one that allows
    only one of them takes it off what is still to be decided (r3).
    """
    code: list[tuple[int, int, int | bool, int]] = [*_PROLOGUE]
    for allow, kind, major, minor, access, _ in reversed(found):
        if allow:
            act = [(_JA, 0, True, 0)] if access == ALL else [(_AND, 3, 0, ~access), (_JEQ, 3, True, 0)]
        else:
            act = [(_JA, 0, False, 0)] if access == ALL else [(_JSET, 3, False, access)]
        tests = [(2, _TYPES[kind])]
        if major is not None:
            tests.append((4, major))
        if minor is not None:
            tests.append((5, minor))
        left = len(tests) + len(act) - 1  # instructions to jump over when the first test fails
        for register, value in tests:
            code.append((_JNE, register, left, value))
            left -= 1
        code += act
    # Offsets True and False stand for the two ends. The default comes first, by falling through; the other only when
    # some rule jumps to it: the kernel refuses instructions that nothing reaches.
    ends = {base: len(code), (not base): len(code) + 2}
    if (not base) in [offset for _, _, offset, _ in code if offset is True or offset is False]:
        code += [*_RETURN[base], *_RETURN[not base]]
    else:
        code += _RETURN[base]
    if len(code) > _MAX_JUMP:
        raise Failure("restrict devices", "linux.resources.devices", 7, "there are too many rules for one program")
    packed = []
    for position, (op, registers, offset, immediate) in enumerate(code):
        if offset is True or offset is False:
            offset = ends[offset] - position - 1
        packed.append(_INSTRUCTION.pack(op, registers, offset, _signed(immediate)))
    return b"".join(packed)


def _signed(value: int) -> int:
    return value - (1 << 32) if value > 0x7FFFFFFF else value


# -- cgroup v1: writes to devices.deny and devices.allow ---------------------------------------------------------------


def writes(base: bool, found: list[Rule]) -> list[tuple[str, str, str]]:
    """(file, value, pointer) in order: first everything one way, which makes the kernel forget all exceptions, then the
    exceptions.

    The kernel keeps exceptions of one kind only, and takes one back only where it is written exactly. So the list is
    worked out here, and an exception to an exception that cannot be written so is an error, not a hole.
    """
    exceptions: dict[Key, tuple[int, str]] = {}
    for allow, kind, major, minor, access, pointer in found:
        key = (kind, major, minor)
        if allow is not base:
            old = exceptions.get(key, (0, ""))[0]
            exceptions[key] = (old | access, pointer)
            continue
        for other, (mask, where) in list(exceptions.items()):
            if mask & access and _overlap(other, key):
                if not _covers(key, other):
                    raise Failure(
                        f"{'allow' if allow else 'deny'} {_text(key, access)}", pointer,
                        detail=f"cgroup v1 cannot make an exception from the wider rule {_text(other, mask)}",
                        hint="write the wider rule as narrower ones, or use cgroup v2",
                    )  # fmt: skip
                exceptions[other] = (mask & ~access, where)
    first = ("devices.allow", "a") if base else ("devices.deny", "a")
    name = "devices.deny" if base else "devices.allow"
    lines = [(*first, "linux.resources.devices")]
    wide = [(key, mask) for key, (mask, _) in exceptions.items() if key[1] is None or key[2] is None]
    for key, (mask, pointer) in exceptions.items():
        if mask:
            if not base:  # the kernel looks for one exception that allows everything that an open asks for
                for other, more in wide:
                    if _covers(other, key):
                        mask |= more
            lines.append((name, _text(key, mask), pointer or "linux.resources.devices"))
    return lines


def _text(key: Key, access: int) -> str:
    kind, major, minor = key
    letters = "".join([letter for letter in "rwm" if access & ACCESS[letter]])
    return f"{kind} {'*' if major is None else major}:{'*' if minor is None else minor} {letters}"


def _overlap(a: Key, b: Key) -> bool:
    return (
        a[0] == b[0]
        and (a[1] is None or b[1] is None or a[1] == b[1])
        and (a[2] is None or b[2] is None or a[2] == b[2])
    )


def _covers(wide: Key, narrow: Key) -> bool:
    return wide[0] == narrow[0] and wide[1] in (None, narrow[1]) and wide[2] in (None, narrow[2])
