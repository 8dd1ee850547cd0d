"""linux.resources as files and values, v1 and v2."""

from __future__ import annotations

from typing import Any

import pytest

from pyrunc.sandbox.cgroup import limits_v1, limits_v2
from pyrunc.specs.errors import Invalid, PyruncError
from tests.sandbox.documents import resources

MB = 1 << 20
VERSIONS = {1: limits_v1.CONTROLLERS, 2: limits_v2.CONTROLLERS}


def files(version: int, controller: str, **asked: Any) -> list[tuple[str, str]]:
    return [(file, value) for file, value, _, _ in VERSIONS[version][controller](resources(**asked))]


@pytest.mark.parametrize(
    ("asked", "v1", "v2"),
    [
        ({"limit": 64 * MB}, ["limit 67108864"], ["max 67108864"]),
        ({"limit": 64 * MB, "swap": 96 * MB}, ["limit 67108864", "swap 100663296"], ["swap 33554432", "max 67108864"]),
        ({"limit": 64 * MB, "swap": 64 * MB}, ["limit 67108864", "swap 67108864"], ["swap 0", "max 67108864"]),
        ({"limit": 64 * MB, "swap": -1}, ["limit 67108864", "swap -1"], ["swap max", "max 67108864"]),
        ({"limit": -1}, ["limit -1", "swap -1"], ["swap max", "max max"]),
        ({"limit": -1, "swap": -1}, ["limit -1", "swap -1"], ["swap max", "max max"]),
        ({"limit": 0, "swap": 0, "reservation": 0}, [], []),
        ({"reservation": MB}, ["soft 1048576"], ["low 1048576"]),
        ({"useHierarchy": True, "kernel": 5}, [], []),
    ],
)
def test_memory(asked: dict[str, Any], v1: list[str], v2: list[str]) -> None:
    """`swap` is memory and swap together: written as it is on v1, as the difference on v2. Zero leaves things alone."""
    names = {
        "memory.limit_in_bytes": "limit", "memory.memsw.limit_in_bytes": "swap", "memory.soft_limit_in_bytes": "soft",
        "memory.max": "max", "memory.swap.max": "swap", "memory.low": "low",
    }  # fmt: skip

    assert [f"{names[file]} {value}" for file, value in files(1, "memory", memory=asked)] == v1
    assert [f"{names[file]} {value}" for file, value in files(2, "memory", memory=asked)] == v2


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"swap": MB}, "unable to set swap limit without memory limit"),
        ({"limit": 2 * MB, "swap": MB}, "memory.swap limit should be >= memory limit"),
    ],
)
def test_memory_nonsense(version: int, asked: dict[str, Any], message: str) -> None:
    """Swap needs a memory limit and cannot be below it."""
    with pytest.raises(Invalid, match=message):
        files(version, "memory", memory=asked)


def test_memory_of_v1_alone() -> None:
    """swappiness and disableOOMKiller exist on v1; on v2 they are passed over with a warning that names them."""
    asked = {"swappiness": 0, "disableOOMKiller": True}

    assert files(1, "memory", memory=asked) == [("memory.oom_control", "1"), ("memory.swappiness", "0")]
    for name, value in asked.items():
        assert files(2, "memory", memory={name: value}) == []
        assert limits_v2.ignored(resources(memory={name: value}), "memory") == [
            f"linux.resources.memory.{name} is ignored: cgroup v2 has no such setting"
        ]
    assert limits_v2.ignored(resources(memory={"limit": 5}), "memory") == []
    with pytest.raises(Invalid, match="0 to 100"):
        files(1, "memory", memory={"swappiness": 101})


@pytest.mark.parametrize(
    ("shares", "weight"), [(1, 1), (2, 1), (1024, 100), (262144, 10000), (300000, 10000), (512, 59), (2048, 174)]
)
def test_weight(shares: int, weight: int) -> None:
    """Shares become weights by the parabola that keeps both ends and the default."""
    assert files(2, "cpu", cpu={"shares": shares}) == [("cpu.weight", str(weight))]


def test_weight_grows() -> None:
    """More shares never weigh less."""
    weights = [limits_v2.weight_of(shares) for shares in range(2, 262145, 97)]

    assert weights == sorted(weights)
    assert min(weights) >= 1
    assert max(weights) <= 10000


@pytest.mark.parametrize(
    ("asked", "v1", "v2"),
    [
        ({"quota": 5000, "period": 20000}, ["cfs_period_us 20000", "cfs_quota_us 5000"], ["max 5000 20000"]),
        ({"quota": 5000}, ["cfs_quota_us 5000"], ["max 5000 100000"]),
        ({"period": 20000}, ["cfs_period_us 20000"], ["max max 20000"]),
        ({"quota": -1}, ["cfs_quota_us -1"], ["max max 100000"]),
        ({"quota": 0, "period": 0, "shares": 0}, [], []),
        ({"quota": 9, "burst": 0}, ["cfs_quota_us 9", "cfs_burst_us 0"], ["max 9 100000", "max.burst 0"]),
        ({"idle": 1, "shares": 1024}, ["shares 1024", "idle 1"], ["weight 100", "idle 1"]),
        ({"idle": 0, "shares": 1024}, ["idle 0", "shares 1024"], ["idle 0", "weight 100"]),
    ],
)
def test_cpu(asked: dict[str, Any], v1: list[str], v2: list[str]) -> None:
    """Period before quota before burst; the weight while the group is not idle; v2 has quota and period in one file."""
    assert [f"{file} {value}" for file, value in files(1, "cpu", cpu=asked)] == [f"cpu.{item}" for item in v1]
    assert [f"{file} {value}" for file, value in files(2, "cpu", cpu=asked)] == [f"cpu.{item}" for item in v2]


def test_cpu_of_v1_alone() -> None:
    """Shares outside the kernel's range are refused on v1, as runc does; real-time limits are passed over on v2."""
    with pytest.raises(Invalid, match="maximum allowed cpu-shares is 262144"):
        files(1, "cpu", cpu={"shares": 262145})
    with pytest.raises(Invalid, match="minimum allowed cpu-shares is 2"):
        files(1, "cpu", cpu={"shares": 1})
    assert files(1, "cpu", cpu={"realtimePeriod": 9, "realtimeRuntime": 5}) == [
        ("cpu.rt_period_us", "9"), ("cpu.rt_runtime_us", "5"),
    ]  # fmt: skip
    assert files(2, "cpu", cpu={"realtimeRuntime": 5}) == []
    assert len(limits_v2.ignored(resources(cpu={"realtimeRuntime": 5, "realtimePeriod": 9}), "cpu")) == 2


@pytest.mark.parametrize("version", [1, 2])
def test_cpuset(version: int) -> None:
    """Lists are written as they are; empty ones are not."""
    assert files(version, "cpuset", cpu={"cpus": "0-1,3", "mems": ""}) == [("cpuset.cpus", "0-1,3")]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("asked", "value"), [({"limit": 3}, "3"), ({"limit": 0}, "1"), ({"limit": -1}, "max"), ({}, None)]
)
def test_pids(version: int, asked: dict[str, int], value: str | None) -> None:
    """Absent is untouched, zero lets nothing fork, minus one is no limit."""
    assert files(version, "pids", pids=asked) == ([] if value is None else [("pids.max", value)])


def test_block_io() -> None:
    """Throttles by device; on v1 weights for CFQ or BFQ; the rate 0 is no limit."""
    asked = {
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 100}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 1, "rate": 0}],
    }
    weights = {"weight": 100, "weightDevice": [{"major": 8, "minor": 0, "weight": 20}]}

    assert [item[:4] for item in limits_v1.blkio_weights(resources(blockIO=weights))] == [
        ("blkio.weight", "100", "blkio.bfq.weight", "100"),
        ("blkio.weight_device", "8:0 20", "blkio.bfq.weight_device", "8:0 20"),
    ]  # fmt: skip
    assert files(1, "blkio", blockIO={**asked, **weights}) == [
        ("blkio.throttle.read_bps_device", "8:0 100"), ("blkio.throttle.write_iops_device", "8:1 0"),
    ]  # fmt: skip
    assert files(2, "io", blockIO=asked) == [("io.max", "8:0 rbps=100"), ("io.max", "8:1 wiops=max")]
    assert [item[1:4:2] for item in limits_v2.io_weights(resources(blockIO=weights))] == [
        ("default 100", "default 910"), ("8:0 20", "8:0 102"),
    ]  # fmt: skip


def test_leaf_weight() -> None:
    """Leaf weights are written on v1, whose kernel may know them, and passed over on v2, which never does."""
    asked = {"leafWeight": 10, "weightDevice": [{"major": 8, "minor": 0, "leafWeight": 20}]}

    assert files(1, "blkio", blockIO=asked) == [("blkio.leaf_weight", "10"), ("blkio.leaf_weight_device", "8:0 20")]
    assert files(2, "io", blockIO=asked) == []
    assert limits_v2.io_weights(resources(blockIO=asked)) == []
    assert len(limits_v2.ignored(resources(blockIO=asked), "io")) == 2


def test_hugepages() -> None:
    """Use and, where the kernel has it, reservation."""
    found = limits_v2.hugetlb(resources(hugepageLimits=[{"pageSize": "2MB", "limit": 4}]))

    assert [(file, value, tolerance) for file, value, _, tolerance in found] == [
        ("hugetlb.2MB.max", "4", ""), ("hugetlb.2MB.rsvd.max", "4", "missing_ok"),
    ]  # fmt: skip
    assert files(1, "hugetlb", hugepageLimits=[{"pageSize": "1GB", "limit": 1}])[0] == (
        "hugetlb.1GB.limit_in_bytes",
        "1",
    )


@pytest.mark.parametrize("size", ["", "MB", "02MB", "2MiB", "2TB", "../x/2MB", "²MB", "-2MB"])
def test_page_sizes(size: str) -> None:
    """A page size that is none is refused, above all one that would lead to another file."""
    with pytest.raises(PyruncError):
        files(2, "hugetlb", hugepageLimits=[{"pageSize": size, "limit": 1}])


def test_network_and_rdma() -> None:
    """net_cls and net_prio on v1; rdma needs at least one number."""
    network = {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]}

    assert files(1, "net_cls", network=network) == [("net_cls.classid", "1048577")]
    assert files(1, "net_prio", network=network) == [("net_prio.ifpriomap", "eth0 5")]
    assert files(2, "rdma", rdma={"mlx": {"hcaHandles": 0, "hcaObjects": 9}}) == [
        ("rdma.max", "mlx hca_handle=0 hca_object=9")
    ]
    with pytest.raises(Invalid):
        files(2, "rdma", rdma={"mlx": {}})
