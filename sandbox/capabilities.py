"""Capability names and numbers, and the five sets of a process as masks.

Pure; on the hot path, so it imports nothing but for types. What cannot be granted is left out with a warning, as the
specification wants it: a document written for a newer kernel must still run.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyrunc.specs.runtime import Capabilities

# In the order of their numbers, linux/capability.h.
NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(NAMES)}


def masks(
    capabilities: Capabilities | None, last_cap: int, grantable: int = -1
) -> tuple[int, int, int, int, int, list[str]]:
    """(bounding, effective, permitted, inheritable, ambient, warnings). An absent object takes everything away.

    `last_cap` is the kernel's newest capability, `grantable` a mask of those that the caller can give (-1: any). What
    one set needs of another is kept: capset(2) and prctl(2) would refuse the whole call otherwise.
    """
    if capabilities is None:
        return 0, 0, 0, 0, 0, []
    grantable &= (1 << (last_cap + 1)) - 1
    unknown: dict[str, None] = {}  # a set that keeps its order: each name is reported once

    def mask(names: Iterable[str]) -> int:
        bits = 0
        for name in names:
            number = NUMBERS.get(name, -1)
            if number < 0 or not grantable >> number & 1:
                unknown[name] = None
            else:
                bits |= 1 << number
        return bits

    bounding = mask(capabilities.bounding)
    permitted = mask(capabilities.permitted)
    effective = mask(capabilities.effective)
    inheritable = mask(capabilities.inheritable)
    ambient = mask(capabilities.ambient)
    warnings = []
    if unknown:
        warnings.append(f"ignoring unknown or unavailable capabilities: [{' '.join(unknown)}]")
    for name, bits, allowed, why in (
        ("effective", effective, permitted, "permitted"),
        ("inheritable", inheritable, bounding, "bounding"),
    ):
        if bits & ~allowed:
            lost = ", ".join(names_of(bits & ~allowed))
            warnings.append(f"ignoring {name} capabilities that are not {why}: {lost}")
    inheritable &= bounding
    for lost in names_of(ambient & ~(permitted & inheritable)):
        warnings.append(f"can't raise ambient capability {lost}: it is not both permitted and inheritable")
    return bounding, effective & permitted, permitted, inheritable, ambient & permitted & inheritable, warnings


def names_of(mask: int) -> list[str]:
    """The names in a mask, by number; numbers that have no name yet as cap_41."""
    return [
        NAMES[number] if number < len(NAMES) else f"cap_{number}"
        for number in range(mask.bit_length() if mask >= 0 else len(NAMES))
        if mask >> number & 1
    ]
