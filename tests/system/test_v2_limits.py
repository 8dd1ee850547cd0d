"""cgroup v2: every limit of a document, read back from the host's files, and enforced where that can be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .box import eventually
from .cgroup2 import disk, files, group, holds, need
from .conftest import Bundle

pytestmark = pytest.mark.usefixtures("cgroup2")
MB = 1 << 20


def test_all_at_once(bundle: Bundle) -> None:
    """Limits of memory, CPU time, cpuset and processes arrive in their files; swap is what is beyond memory."""
    need("memory", "cpu", "cpuset", "pids")
    box = bundle()
    box.linux["resources"].update(
        memory={"limit": 64 * MB, "swap": 96 * MB, "reservation": 32 * MB},
        cpu={"shares": 512, "quota": 50000, "period": 200000, "burst": 20000, "cpus": "0", "mems": "0"},
        pids={"limit": 77},
    )
    box.up()

    assert holds(box, {
        "memory.max": str(64 * MB), "memory.swap.max": str(32 * MB), "memory.low": str(32 * MB),
        "cpu.weight": "59", "cpu.max": "50000 200000", "cpu.max.burst": "20000", "cpu.idle": "0",
        "cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "77",
    })  # fmt: skip
    assert "Cpus_allowed_list:\t0\n" in Path(f"/proc/{box.pid}/status").read_text()


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ({"memory": {"limit": -1}}, {"memory.max": "max", "memory.swap.max": "max"}),
        ({"memory": {"limit": 64 * MB, "swap": -1}}, {"memory.max": str(64 * MB), "memory.swap.max": "max"}),
        ({"memory": {"limit": 64 * MB, "swap": 64 * MB}}, {"memory.max": str(64 * MB), "memory.swap.max": "0"}),
        ({"cpu": {"idle": 1, "shares": 1024}}, {"cpu.idle": "1", "cpu.weight": "0"}),
        ({"cpu": {"quota": -1, "period": 50000}}, {"cpu.max": "max 50000"}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "100", "cpu.max": "max 100000"}),
        ({"cpu": {"shares": 2}}, {"cpu.weight": "1"}),
        ({"cpu": {"shares": 262144}}, {"cpu.weight": "10000"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
        ({}, {"pids.max": "max", "memory.max": "max", "cpu.max": "max 100000"}),
    ],
    ids=["memory", "swap", "no-swap", "idle", "quota", "weight", "least", "most", "pids", "nothing"],
)  # fmt: skip
@pytest.mark.soak
def test_special_values(bundle: Bundle, resources: dict[str, Any], wanted: dict[str, str]) -> None:
    """-1 means no limit, the ends of a scale are met, and what is not asked for is left alone."""
    need("memory", "cpu", "pids")
    box = bundle()
    box.linux["resources"].update(resources)
    box.up()

    assert holds(box, wanted)


def test_no_process_at_all(bundle: Bundle) -> None:
    """pids.limit 0 is a limit, not its absence: the container's first process runs and can make no other."""
    need("pids")
    box = bundle()
    box.linux["resources"]["pids"] = {"limit": 0}

    result = box.sh("cat /proc/self/status & wait").run()

    assert "fork" in result.err, result


def test_disk(bundle: Bundle) -> None:
    """Weights and rates of block devices arrive, in the file of the scheduler that this kernel has."""
    need("io")
    device = disk()
    major, minor = (int(part) for part in device.split(":"))
    number = {"major": major, "minor": minor}
    box = bundle()
    box.linux["resources"]["blockIO"] = {
        "weight": 500,
        "throttleReadBpsDevice": [{**number, "rate": MB}],
        "throttleWriteIOPSDevice": [{**number, "rate": 100}],
    }
    result = box.sh("sleep 1000").run_detached()
    if "io.weight" in result.err:
        pytest.skip("this kernel has no weights for block devices")
    assert result.ok, result

    found = files(box, "io.max", "io.bfq.weight", "io.weight")
    assert found["io.max"] == f"{device} rbps={MB} wbps=max riops=max wiops=100"
    assert found.get("io.bfq.weight") == "default 500" or found["io.weight"] == "default 4950"


def test_huge_pages(bundle: Bundle) -> None:
    """Both the use and the reservation of huge pages are limited."""
    need("hugetlb")
    box = bundle()
    box.linux["resources"]["hugepageLimits"] = [{"pageSize": "2MB", "limit": 4 * MB}]
    box.up()

    assert holds(box, {"hugetlb.2MB.max": str(4 * MB), "hugetlb.2MB.rsvd.max": str(4 * MB)})


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]}, ["hugetlb.3MB.max", "hugepageLimits[0]", "ENOENT"]),
        ({"rdma": {"mlx5_9": {"hcaHandles": 3}}}, ["rdma", "mlx5_9"]),
        ({"cpu": {"cpus": "7777"}}, ["cpuset.cpus", "linux.resources.cpu.cpus"]),
        ({"memory": {"limit": 64 * MB, "swap": 32 * MB}}, ["memory+swap limit should be >= memory limit"]),
        ({"unified": {"no.such": "1"}}, ['unified["no.such"]', "ENOENT"]),
        ({"unified": {"memory.max": "lots"}}, ['unified["memory.max"]', "EINVAL"]),
        ({"unified": {"../cgroup.procs": "1"}}, ["../cgroup.procs", "unified"]),
        ({"blockIO": {"throttleReadBpsDevice": [{"major": 250, "minor": 99, "rate": 1}]}}, ["io.max", "250:99"]),
    ],
    ids=["page-size", "rdma", "cpus", "swap", "file", "value", "slash", "device"],
)  # fmt: skip
@pytest.mark.soak
def test_refused(bundle: Bundle, resources: dict[str, Any], words: list[str]) -> None:
    """A limit that cannot hold is an error that names its place in the document, and nothing is left."""
    need("hugetlb", "rdma", "cpuset", "memory", "io")
    box = bundle("true")
    box.linux["resources"].update(resources)

    result = box.run()

    assert result.status == 1
    assert [word for word in words if word not in result.err.replace('\\"', '"')] == [], result
    assert not group(box).exists()


def test_unified(bundle: Bundle) -> None:
    """`unified` writes any file, line by line, and wins over the same limit by its own name."""
    need("memory", "cpu", "pids")
    box = bundle()
    box.linux["resources"]["pids"] = {"limit": 10}
    box.linux["resources"]["unified"] = {
        "memory.high": str(50 * MB), "memory.oom.group": "1", "cpu.weight": "77", "pids.max": "20", "cpu.max": "5000\n",
    }  # fmt: skip
    box.up()

    assert holds(box, {
        "memory.high": str(50 * MB), "memory.oom.group": "1", "cpu.weight": "77", "pids.max": "20",
        "cpu.max": "5000 100000",
    })  # fmt: skip


def test_memory_is_enforced(bundle: Bundle) -> None:
    """A program beyond memory and swap is killed by the kernel, `run` says 137, and the host's counter tells why."""
    need("memory")
    box = bundle()
    box.linux["resources"]["memory"] = {"limit": 12 * MB, "swap": 12 * MB}

    result = box.sh("exec dd if=/dev/zero of=/dev/null bs=40M count=1").run()

    assert result.status == 137, result


def test_memory_of_a_child_is_enforced(bundle: Bundle) -> None:
    """When it hits a child, the container lives on and its cgroup counts the kill."""
    need("memory")
    box = bundle()
    box.linux["resources"]["memory"] = {"limit": 12 * MB, "swap": 12 * MB}
    box.up("dd if=/dev/zero of=/dev/null bs=40M count=1; echo code $?; sleep 1000")

    box.wait_for("code 137")

    assert "oom_kill 1" in files(box, "memory.events")["memory.events"].splitlines()


def test_too_little_memory_to_start(bundle: Bundle) -> None:
    """A limit so low that the container cannot be made is an error that says so, not a riddle."""
    need("memory")
    box = bundle("true")
    box.linux["resources"]["memory"] = {"limit": 4096, "swap": 4096}

    result = box.run()

    assert result.status == 1, result
    assert "OOM-killed (memory limit too low?)" in result.err


def test_processes_are_enforced(bundle: Bundle) -> None:
    """The limit counts the container's own processes alone: a single one may run with a limit of 1, and no more."""
    need("pids")
    box = bundle()
    box.linux["resources"]["pids"] = {"limit": 1}

    assert box.output_of("echo one") == "one"
    assert "fork" in box.sh("true & wait").run().err


@pytest.mark.soak
def test_cpu_time_is_enforced(bundle: Bundle) -> None:
    """A tenth of a CPU is a tenth: the kernel holds the busy container back."""
    need("cpu")
    box = bundle()
    box.linux["resources"]["cpu"] = {"quota": 10000, "period": 100000}
    box.up("i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done")

    stat = group(box) / "cpu.stat"
    assert eventually(lambda: "nr_throttled 0\n" not in stat.read_text(), 10)
