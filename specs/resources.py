"""linux.resources of config.json but for its device rules, which `runtime` has. Loaded for a document that sets limits.

None everywhere stands for "leave it as it is", which no number can say. Must import `decode` only.
"""

from __future__ import annotations

from pyrunc.specs.decode import INT64, UINT16, UINT32, UINT64, Node


class Memory:
    """Bytes, -1 for no limit. `swap` is memory and swap together."""

    __slots__ = (
        "check_before_update", "disable_oom_killer", "kernel", "kernel_tcp", "limit", "pointer", "reservation", "swap",
        "swappiness", "use_hierarchy",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.limit = node.integer("limit", INT64)
        self.reservation = node.integer("reservation", INT64)
        self.swap = node.integer("swap", INT64)
        self.kernel = node.integer("kernel", INT64)
        self.kernel_tcp = node.integer("kernelTCP", INT64)
        self.swappiness = node.integer("swappiness", UINT64)
        self.disable_oom_killer = node.optional_flag("disableOOMKiller")
        self.use_hierarchy = node.optional_flag("useHierarchy")
        self.check_before_update = node.optional_flag("checkBeforeUpdate")


class CPU:
    """`cpus` and `mems` are lists such as `0-3,7`, empty for all."""

    __slots__ = (
        "burst", "cpus", "idle", "mems", "period", "pointer", "quota", "realtime_period", "realtime_runtime", "shares",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.shares = node.integer("shares", UINT64)
        self.quota = node.integer("quota", INT64)
        self.burst = node.integer("burst", UINT64)
        self.period = node.integer("period", UINT64)
        self.realtime_runtime = node.integer("realtimeRuntime", INT64)
        self.realtime_period = node.integer("realtimePeriod", UINT64)
        self.cpus = node.text("cpus")
        self.mems = node.text("mems")
        self.idle = node.integer("idle", INT64)


class Pids:
    """-1 for no limit; 0 is a limit like any other."""

    __slots__ = ("limit", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.limit = node.integer("limit", INT64)


class BlockIO:
    __slots__ = (
        "leaf_weight", "pointer", "throttle_read_bps_device", "throttle_read_iops_device", "throttle_write_bps_device",
        "throttle_write_iops_device", "weight", "weight_device",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.weight = node.integer("weight", UINT16)
        self.leaf_weight = node.integer("leafWeight", UINT16)
        self.weight_device = node.children("weightDevice", WeightDevice)
        self.throttle_read_bps_device = node.children("throttleReadBpsDevice", ThrottleDevice)
        self.throttle_write_bps_device = node.children("throttleWriteBpsDevice", ThrottleDevice)
        self.throttle_read_iops_device = node.children("throttleReadIOPSDevice", ThrottleDevice)
        self.throttle_write_iops_device = node.children("throttleWriteIOPSDevice", ThrottleDevice)


class WeightDevice:
    __slots__ = ("leaf_weight", "major", "minor", "pointer", "weight")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.major = node.required_integer("major", INT64)
        self.minor = node.required_integer("minor", INT64)
        self.weight = node.integer("weight", UINT16)
        self.leaf_weight = node.integer("leafWeight", UINT16)


class ThrottleDevice:
    __slots__ = ("major", "minor", "pointer", "rate")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.major = node.required_integer("major", INT64)
        self.minor = node.required_integer("minor", INT64)
        self.rate = node.required_integer("rate", UINT64)


class HugepageLimit:
    __slots__ = ("limit", "page_size", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        # Also in small letters: Go's decoder does not mind, so there are documents (runc's own tests) that have it so.
        self.page_size = node.text("pagesize") or node.required_text("pageSize")
        self.limit = node.required_integer("limit", UINT64)


class Network:
    __slots__ = ("class_id", "pointer", "priorities")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.class_id = node.integer("classID", UINT32)
        self.priorities = node.children("priorities", InterfacePriority)


class InterfacePriority:
    __slots__ = ("name", "pointer", "priority")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.name = node.required_text("name")
        self.priority = node.required_integer("priority", UINT32)


class Rdma:
    __slots__ = ("hca_handles", "hca_objects", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.hca_handles = node.integer("hcaHandles", UINT32)
        self.hca_objects = node.integer("hcaObjects", UINT32)
