"""What `top` works out of two looks, and how it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyrunc.cli.top import as_json, size, table
from pyrunc.sandbox.cgroup.stats import UNLIMITED
from pyrunc.top import Sample, rows

from .command import Pyrunc
from .conftest import Keep

MB = 1 << 20


def stats(cpu: int, memory: int, read: int = 0, limit: int = UNLIMITED, pids: int = 1) -> dict[str, Any]:
    return {
        "cpu": {"usage": {"total": cpu}, "psi": {"some": {"avg10": 12.5}}},
        "memory": {"usage": {"usage": memory, "limit": limit}},
        "pids": {"current": pids, "limit": 20},
        "blkio": {"ioServiceBytesRecursive": [{"op": "Read", "value": read}, {"op": "Write"}, {"op": "Read"}]},
    }


BEFORE = Sample(10.0, {"a": stats(1_000_000_000, MB), "b": stats(0, 9 * MB)}, {"a": "running", "b": "running"}, [])
NOW = Sample(
    12.0,
    {"a": stats(2_000_000_000, 2 * MB, limit=64 * MB), "b": stats(0, 9 * MB, read=4096, pids=7), "c": stats(5, 1)},
    {"a": "running", "b": "paused", "c": "running", "d": "stopped"},
    [],
)


def test_between_two_looks() -> None:
    """CPU time and I/O are rates between the looks; a new container has none yet, a stopped one nothing at all."""
    a, b, c, d = sorted(rows(BEFORE, NOW))

    assert (a.cpu, a.memory, a.memory_limit, a.pids, a.pids_limit) == (50.0, 2 * MB, 64 * MB, 1, 20)
    assert (b.status, b.cpu, b.memory_limit, b.read_rate, b.write_rate) == ("paused", 0.0, None, 2048.0, 0.0)
    assert a.pressure == {"cpu": 12.5, "memory": None, "io": None}
    assert (c.cpu, c.read_rate, c.memory) == (None, None, 1)
    assert (d.status, d.cpu, d.memory, d.pids) == ("stopped", None, None, None)


@pytest.mark.parametrize(
    ("sort", "order"), [("cpu", "abcd"), ("memory", "bacd"), ("pids", "bacd"), ("io", "bacd"), ("id", "abcd")]
)
def test_order(sort: str, order: str) -> None:
    """The most first; equals by id."""
    assert "".join(row.id for row in rows(BEFORE, NOW, sort)) == order


def test_table() -> None:
    """Aligned columns; a dash for what is not known."""
    header, a, *_, d = table(rows(BEFORE, NOW))

    assert header.split() == [
        "ID", "STATUS", "CPU", "%", "MEMORY", "/", "LIMIT", "PIDS", "READ/S", "WRITE/S", "PRESSURE", "C/M/I",
    ]  # fmt: skip
    assert a.split() == ["a", "running", "50.0", "2.0M", "/", "64.0M", "1/20", "0", "0", "12/-/-"]
    assert d.split() == ["d", "stopped", "-", "-", "-", "-", "-", "-/-/-"]
    assert a.index("12/-/-") + 6 == len(header)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "-"), (0, "0"), (1023, "1023"), (1024, "1.0K"), (150 * 1024, "150K"), (1 << 70, "1048576P")],
)
def test_sizes(count: int | None, shown: str) -> None:
    """Short numbers with letters."""
    assert size(count) == shown


def test_json() -> None:
    """A program gets every value by its name."""
    first = json.loads(as_json(rows(BEFORE, NOW)))[0]

    assert (first["id"], first["cpu"], first["pressure"]["cpu"]) == ("a", 50.0, 12.5)


def test_command(pyrunc: Pyrunc, keep: Keep) -> None:
    """Without a terminal the list is shown once; wrong flags are refused."""
    keep("box", pid=1, start=1)
    assert json.loads(pyrunc("top", "--json").out)[0]["status"] == "stopped"
    assert "box" in pyrunc("top").out
    assert pyrunc("top", "--sort", "beauty").says("invalid order: beauty")
    assert pyrunc("top", "--interval", "0s").says("duration interval must be greater than 0")
