"""linux.resources as files of cgroup v1 folders. Pure; loaded for a document that sets limits.

One function for each controller: (file, value, pointer, tolerance) in the order in which they have to be written,
nothing for a controller that the document leaves alone. Must not know where the folders are.
"""

from __future__ import annotations

from pyrunc.sandbox.cgroup.limits_v2 import UNLIMITED, cpuset, hugepages, pids, rdma, throttles
from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrunc.sandbox.cgroup.limits_v2 import Either, Write
    from pyrunc.specs.runtime import Resources

MIN_SHARES, MAX_SHARES = 2, 262144


def memory(resources: Resources) -> list[Write]:
    """Zero leaves things as they are. Memory before memory and swap because the kernel wants the second to be at least
    as large as the first at any time, and in a fresh cgroup both are without limit."""
    asked = resources.memory
    if asked is None:
        return []
    at = asked.pointer
    limit, swap = asked.limit or 0, asked.swap or 0
    if swap > 0:
        if not limit:
            raise Invalid("unable to set swap limit without memory limit", f"{at}.swap")
        if swap < limit:
            raise Invalid("memory+swap limit should be >= memory limit", f"{at}.swap")
    if limit == UNLIMITED and not swap:
        swap = UNLIMITED
    if asked.swappiness is not None and asked.swappiness > 100:
        raise Invalid(f"swappiness is a number from 0 to 100, not {asked.swappiness}", f"{at}.swappiness")
    found = []
    if limit:
        found.append(("memory.limit_in_bytes", str(limit), f"{at}.limit", ""))
    if swap:
        tolerance = "missing_ok" if swap == UNLIMITED else ""  # a kernel without swap accounting sets no limit either
        found.append(("memory.memsw.limit_in_bytes", str(swap), f"{at}.swap", tolerance))
    if asked.reservation:
        found.append(("memory.soft_limit_in_bytes", str(asked.reservation), f"{at}.reservation", ""))
    if asked.disable_oom_killer:
        found.append(("memory.oom_control", "1", f"{at}.disableOOMKiller", ""))
    if asked.swappiness is not None:
        found.append(("memory.swappiness", str(asked.swappiness), f"{at}.swappiness", ""))
    return found


def cpu(resources: Resources) -> list[Write]:
    asked = resources.cpu
    if asked is None:
        return []
    at = asked.pointer
    shares = asked.shares or 0
    if shares == 1:  # the kernel would silently take another number
        raise Invalid(f"the minimum allowed cpu-shares is {MIN_SHARES}", f"{at}.shares")
    if shares > MAX_SHARES:
        raise Invalid(f"the maximum allowed cpu-shares is {MAX_SHARES}", f"{at}.shares")
    found = []
    # Real-time limits first: a process with a real-time policy may not enter a group that has no such time.
    if asked.realtime_period:
        found.append(("cpu.rt_period_us", str(asked.realtime_period), f"{at}.realtimePeriod", ""))
    if asked.realtime_runtime:
        found.append(("cpu.rt_runtime_us", str(asked.realtime_runtime), f"{at}.realtimeRuntime", ""))
    idle = [] if asked.idle is None else [("cpu.idle", str(asked.idle), f"{at}.idle", "")]
    weight = [("cpu.shares", str(shares), f"{at}.shares", "")] if shares else []
    # Shares before idle=1 because an idle group refuses them; after idle=0 because that resets them.
    found += weight + idle if asked.idle else idle + weight
    if asked.period:
        found.append(("cpu.cfs_period_us", str(asked.period), f"{at}.period", ""))
    if asked.quota:
        found.append(("cpu.cfs_quota_us", str(asked.quota), f"{at}.quota", ""))
    if asked.burst is not None:  # after the quota: it must not be above it
        found.append(("cpu.cfs_burst_us", str(asked.burst), f"{at}.burst", ""))
    return found


def blkio(resources: Resources) -> list[Write]:
    """Leaf weights are CFQ's, which left the kernel with Linux 5.0: there the write fails, and says so."""
    asked = resources.block_io
    if asked is None:
        return []
    found = []
    if asked.leaf_weight:
        found.append(("blkio.leaf_weight", str(asked.leaf_weight), f"{asked.pointer}.leafWeight", ""))
    for device in asked.weight_device:
        if device.leaf_weight:
            value = f"{device.major}:{device.minor} {device.leaf_weight}"
            found.append(("blkio.leaf_weight_device", value, device.pointer, ""))
    names = ("read_bps_device", "write_bps_device", "read_iops_device", "write_iops_device")
    for name, (_, device_number, pointer, rate) in throttles(asked, names):
        found.append((f"blkio.throttle.{name}", f"{device_number} {rate}", pointer, ""))
    return found


def blkio_weights(resources: Resources) -> list[Either]:
    """Weights, CFQ's or BFQ's: whichever of the two the kernel has."""
    asked = resources.block_io
    if asked is None:
        return []
    weights = [("weight", str(asked.weight), f"{asked.pointer}.weight")] if asked.weight else []
    for device in asked.weight_device:
        if device.weight:
            weights.append(("weight_device", f"{device.major}:{device.minor} {device.weight}", device.pointer))
    return [(f"blkio.{name}", value, f"blkio.bfq.{name}", value, pointer) for name, value, pointer in weights]


def hugetlb(resources: Resources) -> list[Write]:
    return hugepages(resources, "limit_in_bytes")


def net_cls(resources: Resources) -> list[Write]:
    asked = resources.network
    if asked is None or not asked.class_id:
        return []
    return [("net_cls.classid", str(asked.class_id), f"{asked.pointer}.classID", "")]


def net_prio(resources: Resources) -> list[Write]:
    asked = resources.network
    if asked is None:
        return []
    return [("net_prio.ifpriomap", f"{item.name} {item.priority}", item.pointer, "") for item in asked.priorities]


CONTROLLERS: dict[str, Callable[[Resources], list[Write]]] = {
    "cpuset": cpuset,
    "cpu": cpu,
    "memory": memory,
    "pids": pids,
    "blkio": blkio,
    "hugetlb": hugetlb,
    "net_cls": net_cls,
    "net_prio": net_prio,
    "rdma": rdma,
}
