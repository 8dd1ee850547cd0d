"""`pyrunc update`: changes the limits of a container."""

from __future__ import annotations

from pyrunc.cli.options import NUMBER, TEXT, Command
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "update",
    "change the limits of a container",
    "<container-id>",
    minimum=1,
    maximum=1,
    flags=(
        ("resources, r", TEXT, "file with an object like linux.resources of config.json, - for standard input"),
        ("blkio-weight", NUMBER, "share of block I/O, 10 to 1000"),
        ("cpu-period", TEXT, "microseconds of the period that the quota is for"),
        ("cpu-quota", TEXT, "microseconds of CPU time in a period, -1 for no limit"),
        ("cpu-burst", TEXT, "microseconds of unused quota that may be saved up"),
        ("cpu-share", TEXT, "share of CPU time against other containers"),
        ("cpu-rt-period", TEXT, "as cpu-period, for real-time scheduling"),
        ("cpu-rt-runtime", TEXT, "as cpu-quota, for real-time scheduling"),
        ("cpuset-cpus", TEXT, "CPUs that may be used, such as 0-3,7"),
        ("cpuset-mems", TEXT, "memory nodes that may be used"),
        ("cpu-idle", TEXT, "1: runs only when nothing else wants to, 0: as usual"),
        ("memory", TEXT, "bytes of memory, such as 512m; -1 for no limit"),
        ("memory-reservation", TEXT, "bytes that are spared when memory gets scarce"),
        ("memory-swap", TEXT, "bytes of memory and swap together; -1 for no limit"),
        ("kernel-memory", TEXT, ""),  # the kernel has given these two up
        ("kernel-memory-tcp", TEXT, ""),
        ("pids-limit", NUMBER, "number of processes; -1 for no limit"),
        ("l3-cache-schema", TEXT, "share of the L3 caches, such as L3:0=7f0;1=1f"),
        ("mem-bw-schema", TEXT, "share of the memory's bandwidth, such as MB:0=20;1=70"),
    ),
    details="""
What is not given stays as it is. With --resources the other flags do not count.
""",
)

# Where a flag's value stands in linux.resources.
NUMBERS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"),
    "pids-limit": ("pids", "limit"),
}
TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
SIZES = {
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
}
SCHEMAS = {"l3-cache-schema": "l3CacheSchema", "mem-bw-schema": "memBwSchema"}
UNITS = "kmgtp"


def run(context: Context, given: Given) -> int:
    from pyrunc.update import update

    value = read_resources(given.text("resources")) if given.text("resources") else from_flags(given)
    rdt = {member: given.text(name) for name, member in SCHEMAS.items() if given.text(name)}
    for warning in update(context.root, given.arguments[0], value, rdt):
        context.log.warning(warning)
    for name in ("kernel-memory", "kernel-memory-tcp"):
        if given.has(name):
            context.log.warning(f"--{name} has no effect: Linux has no such limit any more")
    return 0


def read_resources(path: str) -> dict[str, Any]:
    """A document with resources."""
    from pyrunc.specs.decode import decode

    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            data = file.read()
    except OSError as error:
        raise Failure(f"read {path}", number=error.errno or 0) from None
    value = decode(data)
    if not isinstance(value, dict):
        raise PyruncError(f"{path}: an object with resources is needed")
    return value


def from_flags(given: Given) -> dict[str, Any]:
    """The same object, made of single flags."""
    value: dict[str, dict[str, int | str]] = {}
    for table, convert in ((NUMBERS, number), (SIZES, size), (TEXTS, text)):
        for name, (group, member) in table.items():
            if given.text(name):  # an empty text stands for a flag that was not given, as in runc
                value.setdefault(group, {})[member] = convert(name, given.text(name))
    return value


def number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise PyruncError(f'invalid value for {name}: "{value}" is no number') from None


def size(name: str, value: str) -> int:
    """Bytes: 1048576, 1024k, 1m, 1MB, 1MiB and 1.5g are understood, always by 1024; -1 for no limit."""
    if value == "-1":
        return -1
    digits = value.lower().removesuffix("b").removesuffix("i")
    power = UNITS.find(digits[-1:]) + 1 if digits else 0
    digits = digits[:-1] if power else digits
    whole, _, fraction = digits.partition(".")
    if not (whole + fraction).isascii() or not whole.isdecimal() or not (fraction or "0").isdecimal():
        raise PyruncError(f"invalid value for {name}: invalid size: '{value}'", hint="such as 536870912, 512m or -1")
    scale: int = 10 ** len(fraction)
    return (int(whole + fraction) << 10 * power) // scale


def text(name: str, value: str) -> str:
    return value
