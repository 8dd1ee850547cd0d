"""cgroup v2: `update` changes any limit of a running container, all that is asked for or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from .box import Box
from .cgroup2 import disk, files, group, holds, need, update
from .conftest import Bundle

pytestmark = pytest.mark.usefixtures("cgroup2")
MB = 1 << 20


@pytest.fixture
def box(bundle: Bundle) -> Box:
    """A running container with a limit of each kind."""
    need("memory", "cpu", "cpuset", "pids")
    box = bundle()
    box.linux["resources"].update(
        memory={"limit": 64 * MB, "swap": 96 * MB}, cpu={"shares": 512, "quota": 50000, "period": 100000},
        pids={"limit": 77},
    )  # fmt: skip
    return box.up()


BEFORE = {
    "memory.max": str(64 * MB), "memory.swap.max": str(32 * MB), "cpu.weight": "59", "cpu.max": "50000 100000",
    "pids.max": "77", "cpuset.cpus": "",
}  # fmt: skip


def test_one_after_the_other(box: Box) -> None:
    """Each kind of limit changes alone, the others stay; half of what shares a file leaves the other half."""
    now = dict(BEFORE)
    steps: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"memory": {"limit": 48 * MB, "swap": 48 * MB}}, {"memory.max": str(48 * MB), "memory.swap.max": "0"}),
        ({"memory": {"limit": -1, "swap": -1}}, {"memory.max": "max", "memory.swap.max": "max"}),
        ({"cpu": {"quota": 20000}}, {"cpu.max": "20000 100000"}),
        ({"cpu": {"period": 200000}}, {"cpu.max": "20000 200000"}),
        ({"cpu": {"quota": -1}}, {"cpu.max": "max 200000"}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "100"}),
        ({"cpu": {"cpus": "0"}}, {"cpuset.cpus": "0"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
        ({"unified": {"pids.max": "5"}}, {"pids.max": "5"}),
    ]

    for resources, change in steps:
        result = update(box, **resources)
        assert result.ok, result
        now.update(change)
        assert holds(box, now)


def test_flags(box: Box) -> None:
    """The flags do the same, several at once."""
    flags = ("--memory", "40m", "--memory-swap", "50m", "--cpu-share", "1024", "--cpu-quota", "-1", "--pids-limit", "9")
    result = box.runtime("update", *flags, box.id)

    assert result.ok, result
    assert holds(box, {
        "memory.max": str(40 * MB), "memory.swap.max": str(10 * MB), "cpu.weight": "100", "cpu.max": "max 100000",
        "pids.max": "9", "cpuset.cpus": "",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"cpu": {"shares": 1024, "cpus": "7777"}}, ["cpuset.cpus", "cpu.cpus"]),
        ({"unified": {"cpu.weight": "200", "memory.high": "lots"}}, ["memory.high"]),
        pytest.param({"unified": {"cpu.weight": "200", "no.such": "1"}}, ["no.such"], marks=pytest.mark.soak),
        pytest.param({"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]}, ["hugetlb"], marks=pytest.mark.soak),
    ],
    ids=["cpuset", "unified", "file", "page-size"],
)  # fmt: skip
def test_all_or_nothing(box: Box, bad: dict[str, Any], words: list[str]) -> None:
    """When one of the changes is refused, the error names it and every limit is as it was."""
    good = {"pids": {"limit": 9}, "memory": {"limit": 70 * MB, "swap": 70 * MB}}

    result = update(box, **good, **bad)

    assert result.status == 1
    assert [word for word in words if word not in result.err] == [], result
    assert holds(box, BEFORE)


@pytest.mark.soak
def test_not_below_what_is_used(box: Box) -> None:
    """checkBeforeUpdate refuses a limit below what is in use, where the kernel would kill to get there."""
    used = int(files(box, "memory.current")["memory.current"])
    assert used > 4096

    result = update(box, memory={"limit": 4096, "swap": 4096, "checkBeforeUpdate": True})

    assert result.status == 1
    assert "limit 4096 <= usage" in result.err
    assert holds(box, BEFORE)
    assert box.status == "running"


@pytest.mark.soak
def test_idle(box: Box) -> None:
    """A container goes idle and comes back; weights are taken in either state."""
    for resources, wanted in (
        ({"idle": 1}, {"cpu.idle": "1"}),
        ({"idle": 1, "shares": 1024}, {"cpu.idle": "1"}),
        ({"idle": 0, "shares": 1024}, {"cpu.idle": "0", "cpu.weight": "100"}),
        ({"burst": 10000}, {"cpu.max.burst": "10000"}),
    ):
        result = update(box, cpu=resources)
        assert result.ok, result
        assert holds(box, wanted)


@pytest.mark.soak
def test_disk(box: Box) -> None:
    """Rates of block devices change and can be taken away."""
    need("io")
    device = disk()
    major, minor = (int(part) for part in device.split(":"))
    for rate, line in ((MB, f"{device} rbps={MB} wbps=max riops=max wiops=max"), (0, "")):
        result = update(box, blockIO={"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": rate}]})
        assert result.ok, result
        assert holds(box, {"io.max": line})


@pytest.mark.soak
def test_huge_pages(box: Box) -> None:
    """Limits of huge pages change."""
    need("hugetlb")
    result = update(box, hugepageLimits=[{"pageSize": "2MB", "limit": 8 * MB}])

    assert result.ok, result
    assert holds(box, {"hugetlb.2MB.max": str(8 * MB), "hugetlb.2MB.rsvd.max": str(8 * MB)})


@pytest.mark.soak
def test_paused(box: Box) -> None:
    """A paused container takes new limits and stays paused."""
    assert box.runtime("pause", box.id).ok

    assert update(box, pids={"limit": 9}).ok

    assert files(box, "pids.max", "cgroup.freeze") == {"pids.max": "9", "cgroup.freeze": "1"}
    assert group(box).is_dir()
