"""linux.resources as files of a cgroup v2 folder. Pure; loaded for a document that sets limits.

One function for each controller: (file, value, pointer, tolerance) in the order in which they have to be written,
nothing for a controller that the document leaves alone. Must not know where the folder is.
"""

from __future__ import annotations

from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrunc.specs.resources import BlockIO
    from pyrunc.specs.runtime import Resources

    Write = tuple[str, str, str, str]  # file, value, pointer, tolerance
    Either = tuple[str, str, str, str, str]  # file, value, other file, other value, pointer
    Device = tuple[str, str, str, int]

UNLIMITED = -1
DEFAULT_PERIOD = 100000  # microseconds, the kernel's


def memory(resources: Resources) -> list[Write]:
    """`swap` of the document is memory and swap together, the file's is swap alone. Zero leaves things as they are."""
    asked = resources.memory
    if asked is None:
        return []
    at = asked.pointer
    found = []
    swap = swap_alone(asked.swap or 0, asked.limit or 0, f"{at}.swap")
    if swap is not None:
        # No swap, or no limit to it, is what a kernel without swap accounting does anyway.
        found.append(("memory.swap.max", number(swap), f"{at}.swap", "missing_ok" if swap <= 0 else ""))
    if asked.limit:
        found.append(("memory.max", number(asked.limit), f"{at}.limit", ""))
    if asked.reservation:
        found.append(("memory.low", number(asked.reservation), f"{at}.reservation", ""))
    return found


def swap_alone(both: int, limit: int, pointer: str) -> int | None:
    """What is left for swap of a limit for memory and swap together; None: not asked for."""
    if both == 0:
        return UNLIMITED if limit == UNLIMITED else None  # as cgroup v1: memory without limit frees swap too
    if both == UNLIMITED or limit == UNLIMITED:
        return both
    if limit == 0:
        raise Invalid("unable to set swap limit without memory limit", pointer)
    if both < limit:
        raise Invalid("memory+swap limit should be >= memory limit", pointer)
    return both - limit


def cpu(resources: Resources) -> list[Write]:
    asked = resources.cpu
    if asked is None:
        return []
    at = asked.pointer
    found = []
    idle = [] if asked.idle is None else [("cpu.idle", str(asked.idle), f"{at}.idle", "")]
    weight = [("cpu.weight", str(weight_of(asked.shares)), f"{at}.shares", "")] if asked.shares else []
    # Weight before idle=1 because an idle group refuses weights; after idle=0 because that resets the weight.
    found += weight + idle if asked.idle else idle + weight
    if asked.quota or asked.period:
        quota = str(asked.quota) if asked.quota and asked.quota > 0 else "max"
        found.append(("cpu.max", f"{quota} {asked.period or DEFAULT_PERIOD}", f"{at}.quota", ""))
    if asked.burst is not None:
        found.append(("cpu.max.burst", str(asked.burst), f"{at}.burst", ""))  # after the quota: it must not be above it
    return found


def weight_of(shares: int) -> int:
    """cpu.weight (1 to 10000, 100 by default) for v1 shares (2 to 262144, 1024 by default): a parabola in log2 through
    both ends and the defaults, so that a container of default shares weighs as much as one of default weight."""
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    from math import ceil, log2

    power = log2(shares)
    weight: float = 10 ** ((power * power + 125 * power) / 612 - 7 / 34)
    return ceil(weight)


def cpuset(resources: Resources) -> list[Write]:
    asked = resources.cpu
    if asked is None:
        return []
    lists = (("cpuset.cpus", asked.cpus, "cpus"), ("cpuset.mems", asked.mems, "mems"))
    return [(file, value, f"{asked.pointer}.{name}", "") for file, value, name in lists if value]


def pids(resources: Resources) -> list[Write]:
    """Absent leaves things as they are. Zero becomes one, as in runc: nothing can fork either way, but nobody can be
    cloned into a cgroup that may hold no process."""
    asked = resources.pids
    if asked is None or asked.limit is None:
        return []
    return [("pids.max", number(asked.limit or 1), f"{asked.pointer}.limit", "")]


def io(resources: Resources) -> list[Write]:
    asked = resources.block_io
    if asked is None:
        return []
    found = []
    keys = ("rbps", "wbps", "riops", "wiops")
    for key, (_, device_number, pointer, rate) in throttles(asked, keys):
        found.append(("io.max", f"{device_number} {key}={rate or 'max'}", pointer, ""))
    return found


def io_weights(resources: Resources) -> list[Either]:
    """Weights, as writes of which the first that finds its file counts: BFQ has a file and a scale of its own, and
    which of the two a kernel has is seen only in the finished cgroup."""
    asked = resources.block_io
    if asked is None:
        return []
    weights = [("default", asked.weight, f"{asked.pointer}.weight")] if asked.weight else []
    for device in asked.weight_device:
        if device.weight:
            weights.append((f"{device.major}:{device.minor}", device.weight, device.pointer))
    return [
        ("io.bfq.weight", f"{name} {weight}", "io.weight", f"{name} {io_weight(weight)}", pointer)
        for name, weight, pointer in weights
    ]


def io_weight(weight: int) -> int:
    """io.weight, 1 to 10000, for a blkio weight of 10 to 1000, linearly."""
    return 1 + (max(weight, 10) - 10) * 9999 // 990


def throttles(asked: BlockIO, names: tuple[str, str, str, str]) -> list[tuple[str, Device]]:
    """(name, (name, device number, pointer, rate)) of all throttled devices; `names` for rbps, wbps, riops, wiops."""
    groups = (
        asked.throttle_read_bps_device, asked.throttle_write_bps_device,
        asked.throttle_read_iops_device, asked.throttle_write_iops_device,
    )  # fmt: skip
    return [
        (name, (name, f"{device.major}:{device.minor}", device.pointer, device.rate))
        for name, group in zip(names, groups, strict=True)
        for device in group
    ]


def hugetlb(resources: Resources) -> list[Write]:
    return hugepages(resources, "max")


def hugepages(resources: Resources, suffix: str) -> list[Write]:
    """Limits on use and on reservation: without the second a process dies by a signal instead of getting an error."""
    found = []
    for item in resources.hugepage_limits:
        size = item.page_size
        digits, unit = size[:-2], size[-2:]
        if unit not in ("KB", "MB", "GB") or not (digits.isascii() and digits.isdigit()) or digits[0] == "0":
            message = f"a page size is a number with KB, MB or GB, such as 2MB, not {size!r}"
            raise Invalid(message, f"{item.pointer}.pageSize")
        found.append((f"hugetlb.{size}.{suffix}", str(item.limit), item.pointer, ""))
        found.append((f"hugetlb.{size}.rsvd.{suffix}", str(item.limit), item.pointer, "missing_ok"))
    return found


def rdma(resources: Resources) -> list[Write]:
    found = []
    for device, item in resources.rdma.items():
        words = [device]
        if item.hca_handles is not None:
            words.append(f"hca_handle={item.hca_handles}")
        if item.hca_objects is not None:
            words.append(f"hca_object={item.hca_objects}")
        if len(words) == 1:
            raise Invalid("give hcaHandles or hcaObjects", item.pointer)
        found.append(("rdma.max", " ".join(words), item.pointer, ""))
    return found


def unified(resources: Resources) -> list[Write]:
    """Files as they are named, a line at a time as the kernel wants them; unknown ones are tried too."""
    found = []
    for file, value in resources.unified.items():
        pointer = f'linux.resources.unified["{file}"]'
        if "/" in file or file in ("", ".", "..") or "\0" in file:
            raise Invalid(f"unified resource {file!r} must be a file name (no slashes)", pointer)
        found += [(file, line, pointer, "") for line in value.split("\n") if line]
    return found


def number(value: int) -> str:
    return "max" if value < 0 else str(value)


def ignored(resources: Resources, controller: str) -> list[str]:
    """Pointers of what the document sets of this controller and cgroup v2 has no file for. As in runc no error: such
    documents are written for hosts of both kinds."""
    memory, cpu, block, network = resources.memory, resources.cpu, resources.block_io, resources.network
    found: list[tuple[object, str]] = []
    if controller == "memory" and memory is not None:
        found = [
            (memory.disable_oom_killer, f"{memory.pointer}.disableOOMKiller"),
            (memory.swappiness is not None, f"{memory.pointer}.swappiness"),
        ]
    elif controller == "cpu" and cpu is not None:
        found = [
            (cpu.realtime_runtime, f"{cpu.pointer}.realtimeRuntime"),
            (cpu.realtime_period, f"{cpu.pointer}.realtimePeriod"),
        ]
    elif controller == "io" and block is not None:
        found = [(block.leaf_weight, f"{block.pointer}.leafWeight")]
        found += [(device.leaf_weight, f"{device.pointer}.leafWeight") for device in block.weight_device]
    elif controller == "net_cls" and network is not None:
        found = [(network.class_id, f"{network.pointer}.classID")]
    elif controller == "net_prio" and network is not None:
        found = [(network.priorities, f"{network.pointer}.priorities")]
    return [f"{pointer} is ignored: cgroup v2 has no such setting" for value, pointer in found if value]


CONTROLLERS: dict[str, Callable[[Resources], list[Write]]] = {
    "cpuset": cpuset,
    "cpu": cpu,
    "memory": memory,
    "pids": pids,
    "io": io,
    "hugetlb": hugetlb,
    "rdma": rdma,
}
