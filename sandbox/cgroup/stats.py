"""What a container has used, as the `data` of runc's `events`: names, units and which zeros are left out are its
(types/events.go), because programs parse them.

Reads the files of the cgroups that it is told, v1, v2 or both; must not write. Off the hot path. A controller that the
container has no cgroup of shows zeros.
"""

from __future__ import annotations

import posix

from pyrunc.sandbox.cgroup.steps import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

UNLIMITED = (1 << 64) - 1  # "max", as Go reads it
SECOND = 1_000_000_000
TICK = SECOND // 100  # USER_HZ, the same on every architecture that we know

CPUSET_FLAGS = (
    "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
    "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
)  # fmt: skip
BLKIO = {
    "ioServiceBytesRecursive": "io_service_bytes",
    "ioServicedRecursive": "io_serviced",
    "ioQueueRecursive": "io_queued",
    "ioServiceTimeRecursive": "io_service_time",
    "ioWaitTimeRecursive": "io_wait_time",
    "ioMergedRecursive": "io_merged",
    "ioTimeRecursive": "time",
    "sectorsRecursive": "sectors",
}
BYTES_AND_COUNTS = ("ioServiceBytesRecursive", "ioServicedRecursive")
# Who counts depends on scheduler and kernel; the first that has anything is right. (before, after the name, which)
BLKIO_SOURCES = (
    ("bfq.", "_recursive", "sectorsRecursive", tuple(BLKIO)),
    ("bfq.", "_recursive", "ioServicedRecursive", BYTES_AND_COUNTS),
    ("", "_recursive", "sectorsRecursive", tuple(BLKIO)),
    ("throttle.", "_recursive", "ioServicedRecursive", BYTES_AND_COUNTS),
    ("throttle.", "", "ioServicedRecursive", BYTES_AND_COUNTS),
)
IO = {
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
}


class Folders:
    """A container's cgroups. `unified` is the cgroup2 one, "" without."""

    def __init__(self, folders: list[str]) -> None:
        self.folders = folders
        self.unified = next((path for path in folders if exists(f"{path}/cgroup.controllers")), "")

    def v1(self, file: str) -> str:
        """The cgroup v1 folder that has the file, or ""."""
        found = (path for path in self.folders if path != self.unified and exists(f"{path}/{file}"))
        return next(found, "")


def read_stats(folders: list[str]) -> Json:
    """All that the cgroups tell. `intel_rdt` and `network_interfaces` are not theirs, so they stay empty."""
    where = Folders(folders)
    return {
        "cpu": cpu(where),
        "cpuset": cpuset(where),
        "memory": memory(where),
        "pids": pids(where),
        "blkio": blkio(where),
        "hugetlb": hugetlb(where),
        "intel_rdt": {},
        "network_interfaces": None,
    }


def cpu(where: Folders) -> Json:
    usage: Json = {"kernel": 0, "user": 0}
    throttling: Json = {}
    counted = where.v1("cpuacct.usage")
    if counted:
        ticks = keyed(read(f"{counted}/cpuacct.stat"))
        each = [line.split() for line in (read(f"{counted}/cpuacct.usage_all") or "").split("\n")[1:]]
        usage = {
            "total": number(read(f"{counted}/cpuacct.usage")),
            "percpu": [number(word) for word in (read(f"{counted}/cpuacct.usage_percpu") or "").split()],
            "percpu_kernel": [number(words[2]) for words in each if len(words) > 2],
            "percpu_user": [number(words[1]) for words in each if len(words) > 2],
            "kernel": ticks.get("system", 0) * TICK,
            "user": ticks.get("user", 0) * TICK,
        }
    elif where.unified:
        spent = keyed(read(f"{where.unified}/cpu.stat"))
        names = {"total": "usage_usec", "kernel": "system_usec", "user": "user_usec"}
        usage = {name: spent.get(key, 0) * 1000 for name, key in names.items()}
    limited = where.v1("cpu.shares") or where.unified
    if limited:
        told = keyed(read(f"{limited}/cpu.stat"))
        throttling = {
            "periods": told.get("nr_periods", 0),
            "throttledPeriods": told.get("nr_throttled", 0),
            "throttledTime": told.get("throttled_time", 0) or told.get("throttled_usec", 0) * 1000,
        }
    # Go drops a structure that is all zeros, but keeps these two in one that is not.
    usage = without_zeros(usage, "kernel", "user") if any(usage.values()) else {}
    return without_zeros({"usage": usage, "throttling": without_zeros(throttling), "psi": psi(where, "cpu")})


def cpuset(where: Folders) -> Json:
    """All zeros on cgroup v2, as runc has it: there these switches do not exist."""
    folder = where.v1("cpuset.cpus")
    flags = {name: signed(read(f"{folder}/cpuset.{name}")) if folder else 0 for name in CPUSET_FLAGS}
    cpus, mems = (listed(read(f"{folder}/cpuset.{file}")) if folder else [] for file in ("cpus", "mems"))
    # Go writes the fields in this order.
    found: Json = {"cpus": cpus, "cpu_exclusive": flags.pop("cpu_exclusive"), "mems": mems, **flags}
    return without_zeros(found, "cpu_exclusive", *flags)


def memory(where: Folders) -> Json:
    folder = where.v1("memory.usage_in_bytes")
    if folder:
        kinds = {"usage": "", "swap": ".memsw", "kernel": ".kmem", "kernelTCP": ".kmem.tcp"}
        entries = {name: _memory_v1(folder, kind) for name, kind in kinds.items()}
        cache = "cache"
    elif where.unified and exists(f"{where.unified}/memory.current"):
        folder = where.unified
        own, swap = (_memory_v2(folder, kind) for kind in ("", ".swap"))
        if swap["limit"] != UNLIMITED:
            swap["limit"] = min(swap["limit"] + own["limit"], UNLIMITED)
        # As cgroup v1 counts: memory and swap together, of which the highest is not known.
        entries = {"usage": own, "swap": {**swap, "usage": swap["usage"] + own["usage"], "max": 0}}
        cache = "file"
    else:
        return without_zeros({"psi": psi(where, "memory")})
    raw = keyed(read(f"{folder}/memory.stat"))
    found: Json = {"cache": raw.get(cache, 0)}
    for name, entry in entries.items():
        found[name] = without_zeros(entry, "limit", "failcnt") if any(entry.values()) else None
    return without_zeros({**found, "raw": dict(sorted(raw.items())), "psi": psi(where, "memory")})


def _memory_v1(folder: str, kind: str) -> dict[str, int]:
    files = {"limit": "limit_in_bytes", "usage": "usage_in_bytes", "max": "max_usage_in_bytes", "failcnt": "failcnt"}
    return {name: number(read(f"{folder}/memory{kind}.{file}")) for name, file in files.items()}


def _memory_v2(folder: str, kind: str) -> dict[str, int]:
    files = {"limit": "max", "usage": "current", "max": "peak"}
    return {**{name: number(read(f"{folder}/memory{kind}.{file}")) for name, file in files.items()}, "failcnt": 0}


def pids(where: Folders) -> Json:
    folder = where.v1("pids.current") or where.unified
    if not folder:
        return {}
    current, limit = read(f"{folder}/pids.current"), number(read(f"{folder}/pids.max"))
    if current is None:  # not handed down: counted by us
        return without_zeros({"current": len((attempt(f"{folder}/cgroup.procs") or "").split())})
    return without_zeros({"current": number(current), "limit": 0 if limit == UNLIMITED else limit})


def blkio(where: Folders) -> Json:
    found: Json = {name: [] for name in BLKIO}
    folder = where.v1("blkio.reset_stats")
    if folder:
        for before, after, first, names in BLKIO_SOURCES:
            if not _entries_v1(folder, f"blkio.{before}{BLKIO[first]}{after}"):
                continue
            for name in names:
                found[name] = _entries_v1(folder, f"blkio.{before}{BLKIO[name]}{after}")
            break
    elif where.unified:
        for line in (read(f"{where.unified}/io.stat") or "").split("\n"):
            words = line.split()
            for key, _, value in (word.partition("=") for word in words[1:]):
                if key in IO:
                    name, operation = IO[key]
                    found[name].append(_entry(words[0], operation, value))
    return without_zeros({**found, "psi": psi(where, "io")})


def _entries_v1(folder: str, file: str) -> list[Json]:
    """Lines such as `8:0 Read 4096`, or `8:0 5` for what has no direction; the last one is a total."""
    lines = [line.split() for line in (read(f"{folder}/{file}") or "").split("\n")]
    lines = [words for words in lines if words and ":" in words[0]]
    return [_entry(words[0], words[1] if len(words) == 3 else "", words[-1]) for words in lines]


def _entry(device: str, operation: str, value: str) -> Json:
    major, _, minor = device.partition(":")
    return without_zeros({"major": number(major), "minor": number(minor), "op": operation, "value": number(value)})


def hugetlb(where: Folders) -> Json:
    """By page size. What was reserved counts, where the kernel tells it apart from what is in use."""
    found: Json = {}
    for folder in where.folders:
        try:
            names = posix.listdir(folder)
        except FileNotFoundError:  # the container has ended meanwhile
            continue
        sizes = {name.split(".")[1] for name in names if name.startswith("hugetlb.")}
        for size in sorted(sizes):
            at = f"{folder}/hugetlb.{size}"
            reserved = ".rsvd" if exists(f"{at}.rsvd.current") or exists(f"{at}.rsvd.usage_in_bytes") else ""
            if folder == where.unified:
                entry = {
                    "usage": number(read(f"{at}{reserved}.current")),
                    "failcnt": keyed(read(f"{at}.events")).get("max", 0),
                }
            else:
                files = {"usage": "usage_in_bytes", "max": "max_usage_in_bytes", "failcnt": "failcnt"}
                entry = {name: number(read(f"{at}{reserved}.{file}")) for name, file in files.items()}
            found[size] = without_zeros(entry, "failcnt")
    return found


def psi(where: Folders, resource: str) -> Json | None:
    """Pressure (how long tasks waited for the resource), which only cgroup2 folders have; None where it is off."""
    text = attempt(f"{where.unified}/{resource}.pressure") if where.unified else None
    if not text:
        return None
    found: Json = {kind: {"avg10": 0, "avg60": 0, "avg300": 0, "total": 0} for kind in ("some", "full")}
    for line in text.split("\n"):
        kind, *pairs = line.split()
        for name, _, value in (pair.partition("=") for pair in pairs):
            count = float(value)
            found[kind][name] = int(count) if count.is_integer() else count  # 0 and not 0.0, as Go writes it
    return found


# -- reading ----------------------------------------------------------------------------------------------------------


def exists(path: str) -> bool:
    return posix.access(path, posix.F_OK)


def attempt(path: str) -> str | None:
    """The file, None as well where the kernel does not want to tell (EOPNOTSUPP)."""
    try:
        return read(path)
    except OSError:
        return None


def number(text: str | None) -> int:
    """A count. Missing and negative ones are none, `max` is the highest that there is."""
    return UNLIMITED if text == "max" else max(signed(text), 0)


def signed(text: str | None) -> int:
    return int(text) if text else 0


def keyed(text: str | None) -> dict[str, int]:
    """Lines of a name and a count."""
    pairs = [line.split(" ") for line in (text or "").split("\n")]
    return {pair[0]: number(pair[1]) for pair in pairs if len(pair) == 2}


def listed(text: str | None) -> list[int]:
    """The numbers of a list such as `0-3,7`."""
    found: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first:
            found += range(int(first), int(last or first) + 1)
    return found


def without_zeros(pairs: Json, *kept: str) -> Json:
    """The pairs whose value is not zero or empty, and those of these names."""
    return {name: value for name, value in pairs.items() if value or name in kept}
