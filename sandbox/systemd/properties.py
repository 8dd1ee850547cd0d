"""Limits as properties of a unit, so that systemd knows them and writes them again when it thinks fit. Pure.

Made from what would be written to the cgroup's files, whichever way the document asked for it; what systemd cannot
express is written to the files alone. Values that it would round are rounded here, so that both say the same.
"""

from __future__ import annotations

from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyrunc.sandbox.cgroup.devices import Rule

    Property = tuple[str, str, Any]  # name, D-Bus type, value

INFINITY = (1 << 64) - 1
SECOND = 1_000_000  # microseconds
PERCENT = SECOND // 100  # systemd counts CPU time in whole percents
DEFAULT_PERIOD = 100_000
NUMBERS = {
    "memory.max": "MemoryMax", "memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
    "memory.swap.max": "MemorySwapMax", "cpu.weight": "CPUWeight", "pids.max": "TasksMax",
    "memory.limit_in_bytes": "MemoryLimit", "cpu.shares": "CPUShares", "blkio.weight": "BlockIOWeight",
}  # fmt: skip
SETS = {"cpuset.cpus": "AllowedCPUs", "cpuset.mems": "AllowedMemoryNodes"}
IDLE_WARNING = "unable to apply both cpu.weight and cpu.idle to systemd, ignoring cpu.weight"
MOST_CPUS = 8192 * 8  # no kernel has more; a list must not make us count to a billion


def properties(writes: Iterable[tuple[str, str]], quota: str = "", period: str = "") -> list[Property]:
    """The properties that say what these writes (file, value) do, each once. `quota` and `period` are those in force,
    for cgroup v1, where they are two files and only one may be written."""
    found: dict[str, Property] = {}
    timed = False
    for file, value in writes:
        words = value.split()
        if not words:
            continue
        if file in NUMBERS:
            name = NUMBERS[file]
            found[name] = (name, "t", _number(file, words[0]))
        elif file in SETS:
            found[SETS[file]] = (SETS[file], "ay", bits(value, file))
        elif file == "cpu.idle" and words[0] == "1":
            found["CPUWeight"] = ("CPUWeight", "t", 0)  # systemd's way to say idle
        elif file == "io.weight" and words[0] in ("default", words[-1]):
            found["IOWeight"] = ("IOWeight", "t", _number(file, words[-1]))
        elif file == "cpu.max":
            quota, period, timed = words[0], words[1] if len(words) > 1 else "", True
        elif file == "cpu.cfs_quota_us":
            quota, timed = words[0], True
        elif file == "cpu.cfs_period_us":
            period, timed = words[0], True
    if timed:
        _time(found, quota, period)
    return list(found.values())


def rounded(file: str, value: str, period: str = "") -> str:
    """The value that stays in force: whole percents of CPU time, upwards, and never no process at all. `period` is the
    one of cgroup v1, which has a file of its own."""
    if file == "pids.max":
        return "1" if value == "0" else value
    words = value.split()
    if file not in ("cpu.max", "cpu.cfs_quota_us") or not words[:1] or not words[0].isdecimal():
        return value
    period = words[1] if len(words) > 1 else period or str(DEFAULT_PERIOD)
    if not period.isdecimal() or int(period) == 0:
        return value
    quota = _per_second(int(words[0]), int(period)) * int(period) // SECOND
    return f"{quota} {period}" if file == "cpu.max" else str(quota)


def _time(found: dict[str, Property], quota: str, period: str) -> None:
    if period:
        found["CPUQuotaPeriodUSec"] = ("CPUQuotaPeriodUSec", "t", _number("cpu.max", period))
    per_second = INFINITY
    if quota not in ("", "max") and not quota.startswith("-"):
        number = _number("cpu.max", quota)
        per_second = _per_second(number, _number("cpu.max", period or str(DEFAULT_PERIOD)) or DEFAULT_PERIOD)
    found["CPUQuotaPerSecUSec"] = ("CPUQuotaPerSecUSec", "t", per_second)


def _per_second(quota: int, period: int) -> int:
    return -(-(quota * SECOND // period) // PERCENT) * PERCENT


def _number(file: str, text: str) -> int:
    if text == "max" or (text.startswith("-") and text[1:].isdecimal()):
        return INFINITY
    if not (text.isascii() and text.isdecimal()) or int(text) > INFINITY:
        raise Invalid(f"{file} takes a number or max, not {text!r}", "linux.resources")
    return int(text)


def bits(text: str, file: str) -> bytes:
    """A list such as `0-3,7` as a bit for each number, the lowest first."""
    found = 0
    for part in text.split(","):
        part = part.strip()
        first, dash, last = part.partition("-")
        if not part:
            continue
        ends = [int(end) for end in (first, last if dash else first) if end.isascii() and end.isdecimal()]
        if len(ends) != 2 or not ends[0] <= ends[1] < MOST_CPUS:
            raise Invalid(f"{file} takes a list such as 0-3,7, not {text!r}", "linux.resources.cpu")
        found |= (1 << ends[1] + 1) - (1 << ends[0])
    return found.to_bytes((found.bit_length() + 7) // 8 or 1, "little")


def devices(base: bool, rules: list[Rule], exact: bool) -> list[Property]:
    """Device rules as systemd knows them, an empty list first, because the property adds to what is there.

    It has lists of what is allowed, by number or by kind. Rules that they cannot express leave everything allowed here:
    then the filter of our own (cgroup v2), or what we write (v1), decides alone. `exact`: it does so in any case.
    """
    from pyrunc.sandbox.cgroup.devices import writes

    everything: list[Property] = [("DeviceAllow", "a(ss)", []), ("DevicePolicy", "s", "auto")]
    if base:
        return everything
    try:
        lines = writes(base, rules)
    except Failure:
        if exact:
            return everything
        raise
    allowed = []
    for _, text, _ in lines[1:]:
        kind, numbers, access = text.split(" ")
        major, _, minor = numbers.partition(":")
        word = "char" if kind == "c" else "block"
        if major == "*" and minor != "*":
            if exact:
                return everything
            continue
        place = f"{word}-{major}" if minor == "*" else f"/dev/{word}/{numbers}"
        allowed.append((place, access))
    return [("DeviceAllow", "a(ss)", []), ("DevicePolicy", "s", "strict"), ("DeviceAllow", "a(ss)", allowed)]
