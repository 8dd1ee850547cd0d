"""Statistics from folders made by hand, so that both versions and every controller are tried on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyrunc.sandbox.cgroup.stats import UNLIMITED, read_stats

PRESSURE = "some avg10=1.50 avg60=0.20 avg300=0.00 total=12345\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=99\n"
V2 = {
    "cgroup.controllers": "cpu memory io pids hugetlb",
    "cpu.stat": "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
    "cpu.pressure": PRESSURE,
    "memory.current": "4096\n",
    "memory.max": "8192\n",
    "memory.peak": "6000\n",
    "memory.swap.current": "10\n",
    "memory.swap.max": "100\n",
    "memory.stat": "file 20\nanon 10\n",
    "pids.current": "3\n",
    "pids.max": "max\n",
    "io.stat": "8:0 rbytes=512 wbytes=0 rios=1 wios=2 dbytes=9\n",
    "hugetlb.2MB.current": "1\n",
    "hugetlb.2MB.rsvd.current": "2097152\n",
    "hugetlb.2MB.events": "max 3\n",
}
V1 = {
    "cpuacct/cpuacct.usage": "77\n",
    "cpuacct/cpuacct.usage_percpu": "40 37 \n",
    "cpuacct/cpuacct.usage_all": "cpu user system\n0 30 10\n1 20 17\n",
    "cpuacct/cpuacct.stat": "user 2\nsystem 1\n",
    "cpu/cpu.shares": "1024\n",
    "cpu/cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 5\n",
    "cpuset/cpuset.cpus": "0-2,5\n",
    "cpuset/cpuset.mems": "0\n",
    "cpuset/cpuset.sched_load_balance": "1\n",
    "cpuset/cpuset.sched_relax_domain_level": "-1\n",
    "memory/memory.usage_in_bytes": "5\n",
    "memory/memory.max_usage_in_bytes": "6\n",
    "memory/memory.limit_in_bytes": "7\n",
    "memory/memory.failcnt": "0\n",
    "memory/memory.stat": "rss 3\ncache 2\n",
    "pids/pids.current": "1\n",
    "pids/pids.max": "9\n",
    "blkio/blkio.reset_stats": "",
    "blkio/blkio.throttle.io_serviced": "8:0 Read 4\n8:0 Write 0\nTotal 4\n",
    "blkio/blkio.throttle.io_service_bytes": "8:0 Read 4096\nTotal 4096\n",
    "hugetlb/hugetlb.1GB.usage_in_bytes": "0\n",
    "hugetlb/hugetlb.1GB.max_usage_in_bytes": "8\n",
    "hugetlb/hugetlb.1GB.failcnt": "0\n",
}


def stats_of(where: Path, files: dict[str, str]) -> dict[str, Any]:
    for name, text in files.items():
        (where / name).parent.mkdir(exist_ok=True)
        (where / name).write_text(text)
    nested = sorted({str((where / name).parent) for name in files})
    return read_stats(nested)


def test_version_2(tmp_path: Path) -> None:
    """cgroup v2 in runc's form: nanoseconds, memory and swap together, pressure, directions of I/O."""
    found = stats_of(tmp_path, V2)

    assert found["cpu"]["usage"] == {"total": 5000000, "kernel": 2000000, "user": 3000000}
    assert found["cpu"]["throttling"] == {"periods": 4, "throttledPeriods": 2, "throttledTime": 7000}
    assert found["cpu"]["psi"]["some"] == {"avg10": 1.5, "avg60": 0.2, "avg300": 0, "total": 12345}
    assert isinstance(found["cpu"]["psi"]["full"]["avg10"], int)
    assert found["memory"] == {
        "cache": 20,
        "usage": {"limit": 8192, "usage": 4096, "max": 6000, "failcnt": 0},
        "swap": {"limit": 8292, "usage": 4106, "failcnt": 0},
        "raw": {"anon": 10, "file": 20},
    }
    assert found["pids"] == {"current": 3}
    assert found["blkio"] == {
        "ioServiceBytesRecursive": [
            {"major": 8, "op": "Read", "value": 512},
            {"major": 8, "op": "Write"},
        ],
        "ioServicedRecursive": [
            {"major": 8, "op": "Read", "value": 1},
            {"major": 8, "op": "Write", "value": 2},
        ],
    }
    assert found["hugetlb"] == {"2MB": {"usage": 2097152, "failcnt": 3}}
    assert found["cpuset"]["cpu_exclusive"] == 0


def test_version_1(tmp_path: Path) -> None:
    """cgroup v1, each controller in a folder of its own."""
    found = stats_of(tmp_path, V1)

    assert found["cpu"] == {
        "usage": {
            "total": 77,
            "percpu": [40, 37],
            "percpu_kernel": [10, 17],
            "percpu_user": [30, 20],
            "kernel": 10_000_000,
            "user": 20_000_000,
        },
        "throttling": {"throttledTime": 5},
    }
    assert found["cpuset"]["cpus"] == [0, 1, 2, 5]
    assert (found["cpuset"]["sched_load_balance"], found["cpuset"]["sched_relax_domain_level"]) == (1, -1)
    assert found["memory"] == {
        "cache": 2,
        "usage": {"limit": 7, "usage": 5, "max": 6, "failcnt": 0},
        "raw": {"cache": 2, "rss": 3},
    }
    assert found["pids"] == {"current": 1, "limit": 9}
    assert found["blkio"]["ioServiceBytesRecursive"] == [{"major": 8, "op": "Read", "value": 4096}]
    assert found["hugetlb"] == {"1GB": {"max": 8, "failcnt": 0}}


@pytest.mark.parametrize("files", [{}, {"cgroup.controllers": ""}])
def test_nothing_to_tell(tmp_path: Path, files: dict[str, str]) -> None:
    """Without controllers there are zeros, left out or kept as Go does, and no error."""
    found = stats_of(tmp_path, files)

    assert list(found) == [
        "cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces",
    ]  # fmt: skip
    assert found["cpu"] == found["memory"] == found["blkio"] == found["hugetlb"] == {}
    assert found["network_interfaces"] is None


def test_no_limit(tmp_path: Path) -> None:
    """`max` is the largest number of 64 bits, for swap as well."""
    found = stats_of(tmp_path, {**V2, "memory.max": "max\n", "memory.swap.max": "max\n"})

    assert found["memory"]["usage"]["limit"] == found["memory"]["swap"]["limit"] == UNLIMITED
