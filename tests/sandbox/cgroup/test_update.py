"""Changing limits of a living cgroup, on whichever version this machine has."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pyrunc.sandbox.cgroup import CgroupPlan
from pyrunc.sandbox.cgroup.layout import Layout
from pyrunc.sandbox.cgroup.steps import read
from pyrunc.sandbox.cgroup.update import update
from pyrunc.specs.errors import Failure, PyruncError
from tests.sandbox.cgroup.conftest import Make
from tests.sandbox.documents import resources

MB = 1 << 20


@pytest.fixture
def plan(make: Make) -> CgroupPlan:
    try:
        return make(resources(memory={"limit": 64 * MB, "swap": 64 * MB}, pids={"limit": 50}, cpu={"shares": 1024}))
    except (Failure, OSError) as error:
        pytest.skip(f"needs memory, pids and cpu: {error}")


def value(plan: CgroupPlan, v1: str, v2: str) -> str:
    """What stands in the file, whichever of the two there is."""
    for folder in plan.folders:
        for file in (v1, v2):
            text = read(f"{folder}/{file}")
            if text is not None:
                return text
    raise AssertionError(f"neither {v1} nor {v2}")


def memory(plan: CgroupPlan) -> tuple[int, int]:
    """(limit, memory and swap together) in MB."""
    limit = int(value(plan, "memory.limit_in_bytes", "memory.max"))
    swap = int(value(plan, "memory.memsw.limit_in_bytes", "memory.swap.max"))
    alone = any(read(f"{folder}/memory.swap.max") is not None for folder in plan.folders)
    return limit // MB, (swap + limit if alone else swap) // MB


@pytest.mark.parametrize("steps", [[(128, 256), (32, 32)], [(32, 64), (256, 256)], [(64, 128), (16, 128)]])
def test_memory_up_and_down(plan: CgroupPlan, steps: list[tuple[int, int]]) -> None:
    """Memory and swap move in either direction: the kernel wants them written in different orders."""
    for limit, both in steps:
        update(plan.folders, resources(memory={"limit": limit * MB, "swap": both * MB}))

        assert memory(plan) == (limit, both)


def test_only_what_is_given(plan: CgroupPlan) -> None:
    """What the change leaves out stays."""
    update(plan.folders, resources(pids={"limit": 7}))

    assert value(plan, "pids.max", "pids.max") == "7"
    assert memory(plan) == (64, 64)


def test_quota_and_period(plan: CgroupPlan) -> None:
    """Quota, period and burst change alone or together, whatever was set before."""
    for asked, quota, period in (
        ({"quota": 20000, "period": 50000}, 20000, 50000),
        ({"quota": 10000, "burst": 5000}, 10000, 50000),
        ({"period": 100000}, 10000, 100000),
        ({"quota": 50000, "burst": 50000}, 50000, 100000),
    ):
        update(plan.folders, resources(cpu=asked))

        now = value(plan, "cpu.cfs_quota_us", "cpu.max").split()
        assert now == ([str(quota)] if len(now) == 1 else [str(quota), str(period)])
        assert value(plan, "cpu.cfs_period_us", "cpu.max").split()[-1] == str(period)


def test_idle_and_back(plan: CgroupPlan) -> None:
    """An idle group takes shares only when it is woken for it."""
    update(plan.folders, resources(cpu={"idle": 1}))
    update(plan.folders, resources(cpu={"idle": 1, "shares": 512}))
    assert value(plan, "cpu.idle", "cpu.idle") == "1"

    update(plan.folders, resources(cpu={"idle": 0, "shares": 512}))
    assert value(plan, "cpu.idle", "cpu.idle") == "0"
    assert value(plan, "cpu.shares", "cpu.weight") in ("512", "59")


@pytest.mark.parametrize(
    "bad",
    [{"cpu": {"cpus": "4096"}}, {"cpu": {"quota": 1}}, {"unified": {"no.such": "1"}}, {"unified": {"cpu.max": "x"}}],
)
def test_rolled_back_as_a_whole(plan: CgroupPlan, bad: dict[str, Any]) -> None:
    """One write that fails takes back those that came before it."""
    before = (memory(plan), value(plan, "pids.max", "pids.max"), value(plan, "cpu.shares", "cpu.weight"))

    with pytest.raises(Failure):
        update(plan.folders, resources(memory={"limit": 32 * MB, "swap": 48 * MB}, pids={"limit": 9}, **bad))
    assert (memory(plan), value(plan, "pids.max", "pids.max"), value(plan, "cpu.shares", "cpu.weight")) == before


def test_check_before_update(plan: CgroupPlan) -> None:
    """checkBeforeUpdate refuses a limit that is below what is in use."""
    usage = int(value(plan, "memory.usage_in_bytes", "memory.current"))
    if usage < 4096:
        update(plan.folders, resources(memory={"limit": 4 * MB, "checkBeforeUpdate": True}))
        return
    with pytest.raises(PyruncError, match="rejecting memory limit"):
        update(plan.folders, resources(memory={"limit": 4096, "checkBeforeUpdate": True}))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"rdma": {"mlx": {"hcaHandles": 1}}}, "rdma"),
        ({"blockIO": {"weight": 100}}, "blockIO"),
        ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]}}, "blockIO"),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}, "hugepageLimits"),
        ({"network": {"classID": 5}}, "net_cls"),
        ({"unified": {"memory.max": "1"}}, "unified"),
    ],
)
def test_missing_controller(asked: dict[str, Any], name: str) -> None:
    """A limit for which the container has no cgroup is an error that names it, never passed over."""
    with pytest.raises(Failure, match=name):
        update([], resources(**asked))


def test_throttle(layout: Layout, make: Make) -> None:
    """Block devices are throttled by whichever controller there is."""
    names = [name for hierarchy in layout.hierarchies for name in hierarchy.controllers]
    if "blkio" not in names and not (layout.unified and "io" in layout.unified.controllers):
        pytest.skip("needs blkio or io")
    with open("/proc/partitions", encoding="ascii") as file:
        numbers = [line.split()[:2] for line in file if line[:1] == " "]
    device = next(((a, b) for a, b in numbers if os.path.exists(f"/sys/dev/block/{a}:{b}/queue")), None)
    if device is None:
        pytest.skip("needs a disk")
    plan = make()
    entry = {"major": int(device[0]), "minor": int(device[1]), "rate": 1 << 20}
    update(plan.folders, resources(blockIO={"throttleReadBpsDevice": [entry]}))

    assert str(1 << 20) in value(plan, "blkio.throttle.read_bps_device", "io.max")
