"""The rules about limits in linux.resources; see `rules`, which loads this module when a document sets some.

Rules look at the document alone: which controllers there are, and of which version, is for `sandbox` to find out.
"""

from __future__ import annotations

from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrunc.specs.resources import BlockIO, ThrottleDevice, WeightDevice
    from pyrunc.specs.runtime import Resources


def memory(resources: Resources) -> Iterator[Invalid]:
    clause = "config-linux.md#memory"
    limits = resources.memory
    if limits is None:
        return
    for name, value in (("limit", limits.limit), ("reservation", limits.reservation), ("swap", limits.swap)):
        if value is not None and value < -1:
            yield Invalid(f"invalid memory value: {value}", f"{limits.pointer}.{name}", clause=clause)
    if limits.swappiness is not None and limits.swappiness > 100:
        yield Invalid("swappiness goes from 0 to 100", f"{limits.pointer}.swappiness", clause=clause)
    if limits.swap and limits.limit and 0 < limits.swap < limits.limit:
        message = "memory+swap limit should be >= memory limit"
        yield Invalid(message, f"{limits.pointer}.swap", clause=clause)


def swap_needs_limit(resources: Resources) -> Iterator[Invalid]:
    """Not for updates: there the limit may be in force already."""
    limits = resources.memory
    if limits is not None and (limits.swap or 0) > 0 and limits.limit in (None, 0, -1):
        message = "unable to set swap limit without memory limit"
        yield Invalid(message, f"{limits.pointer}.swap", clause="config-linux.md#memory")


def cpu(resources: Resources) -> Iterator[Invalid]:
    clause = "config-linux.md#cpu"
    limits = resources.cpu
    if limits is None:
        return
    if limits.idle not in (None, 0, 1):
        yield Invalid("idle is 0 or 1", f"{limits.pointer}.idle", clause=clause)
    if limits.burst and limits.quota and 0 < limits.quota < limits.burst:
        yield Invalid("burst must not be larger than quota", f"{limits.pointer}.burst", clause=clause)


def block_io(resources: Resources) -> Iterator[Invalid]:
    clause = "config-linux.md#block-io"
    limits = resources.block_io
    if limits is None:
        return
    for device in limits.weight_device:
        if device.weight is None and device.leaf_weight is None:
            yield Invalid("one of weight and leafWeight is required", device.pointer, clause=clause)
        yield from weights(device, clause)
        yield from numbers(device, clause)
    yield from weights(limits, clause)
    for throttled in (
        *limits.throttle_read_bps_device, *limits.throttle_write_bps_device, *limits.throttle_read_iops_device,
        *limits.throttle_write_iops_device,
    ):  # fmt: skip
        yield from numbers(throttled, clause)


def weights(entry: BlockIO | WeightDevice, clause: str) -> Iterator[Invalid]:
    for name, weight in (("weight", entry.weight), ("leafWeight", entry.leaf_weight)):
        # 0 is what engines write for "not set".
        if weight and not 10 <= weight <= 1000:
            yield Invalid("a weight goes from 10 to 1000", f"{entry.pointer}.{name}", clause=clause)


def numbers(device: WeightDevice | ThrottleDevice, clause: str) -> Iterator[Invalid]:
    if device.major < 0 or device.minor < 0:
        yield Invalid("a device number must not be negative", device.pointer, clause=clause)


def hugepage_limits(resources: Resources) -> Iterator[Invalid]:
    for limit in resources.hugepage_limits:
        size, unit = limit.page_size[:-2], limit.page_size[-2:]
        if not (size.isascii() and size.isdigit() and size[0] != "0" and unit in ("KB", "MB", "GB")):
            message = f'"{limit.page_size}" is not a page size such as 64KB, 2MB or 1GB'
            yield Invalid(message, f"{limit.pointer}.pageSize", clause="config-linux.md#huge-page-limits")


def network(resources: Resources) -> Iterator[Invalid]:
    for priority in resources.network.priorities if resources.network else ():
        if not priority.name:
            yield Invalid("an interface needs a name", f"{priority.pointer}.name", clause="config-linux.md#network")


def rdma(resources: Resources) -> Iterator[Invalid]:
    for limit in resources.rdma.values():
        if limit.hca_handles is None and limit.hca_objects is None:
            message = "one of hcaHandles and hcaObjects is required"
            yield Invalid(message, limit.pointer, clause="config-linux.md#rdma")


def unified(resources: Resources) -> Iterator[Invalid]:
    for name, value in resources.unified.items():
        if name in ("", ".", "..") or "/" in name or "\0" in name or "\0" in value:
            message = f'"{name}" is not the name of a file in a cgroup'
            yield Invalid(message, "linux.resources.unified", clause="config-linux.md#unified")


RULES = (memory, cpu, block_io, hugepage_limits, network, rdma, unified)
