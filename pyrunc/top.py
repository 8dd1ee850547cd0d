"""`top`: what each container of a root folder uses at the moment, as values.

Reads the list and the cgroups; must not print, and must not change anything. Rootless and on every kind of cgroup the
same: what a container has no cgroup for is None.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from pyrunc.manage import containers
from pyrunc.sandbox.cgroup.stats import UNLIMITED, read_stats

Json = dict[str, Any]

NO_LIMIT = 1 << 62  # cgroup v1 says so with the largest multiple of a page
SORTS = ("cpu", "memory", "pids", "io", "id")


class Sample(NamedTuple):
    """All containers at one moment."""

    at: float
    stats: dict[str, Json]  # by id; empty for a container without cgroups
    statuses: dict[str, str]
    warnings: list[str]


class Row(NamedTuple):
    """One container between two moments. Rates are bytes a second; `cpu` is in percent of one CPU; `pressure` the share
    of the last ten seconds in which some process waited, in percent."""

    id: str
    status: str
    cpu: float | None
    memory: int | None
    memory_limit: int | None
    pids: int | None
    pids_limit: int | None
    read_rate: float | None
    write_rate: float | None
    pressure: dict[str, float | None]  # of cpu, memory and io


def take(root: str) -> Sample:
    """A sample of now."""
    found, warnings = containers(root)
    alive = [one for one in found if one.status != "stopped"]
    stats = {one.record.id: read_stats(one.record.cgroups) if one.record.cgroups else {} for one in alive}
    return Sample(time.monotonic(), stats, {one.record.id: one.status for one in found}, warnings)


def rows(before: Sample, now: Sample, sort: str = "cpu") -> list[Row]:
    """A row for each container that is there now. Of one that was not there before, rates are not known yet."""
    seconds = max(now.at - before.at, 1e-6)
    found = [_row(id, now, before.stats.get(id), seconds) for id in now.statuses]
    return sorted(found, key=lambda row: _order(row, sort))


def _order(row: Row, sort: str) -> tuple[float, str]:
    values = {
        "cpu": row.cpu, "memory": row.memory, "pids": row.pids, "id": 0,
        "io": (row.read_rate or 0) + (row.write_rate or 0),
    }  # fmt: skip
    return -(values[sort] or 0), row.id


def _row(id: str, now: Sample, before: Json | None, seconds: float) -> Row:
    stats = now.stats.get(id) or {}
    status = now.statuses[id]
    if not stats:
        return Row(id, status, None, None, None, None, None, None, None, dict.fromkeys(("cpu", "memory", "io")))
    cpu = read_rate = write_rate = None
    if before:
        cpu = (_cpu(stats) - _cpu(before)) / seconds / 1e9 * 100
        moved = [_moved(stats, way) - _moved(before, way) for way in ("Read", "Write")]
        read_rate, write_rate = (max(count, 0) / seconds for count in moved)
    usage = stats["memory"].get("usage") or {}
    pids = stats["pids"]
    return Row(
        id, status, cpu, usage.get("usage"), _limit(usage.get("limit", UNLIMITED)), pids.get("current"),
        pids.get("limit"), read_rate, write_rate,
        {name: _waiting(stats[section]) for name, section in (("cpu", "cpu"), ("memory", "memory"), ("io", "blkio"))},
    )  # fmt: skip


def _cpu(stats: Json) -> int:
    return int(stats["cpu"].get("usage", {}).get("total", 0))


def _moved(stats: Json, way: str) -> int:
    entries = stats["blkio"].get("ioServiceBytesRecursive", [])
    return sum(entry.get("value", 0) for entry in entries if entry.get("op") == way)


def _limit(limit: int) -> int | None:
    return limit if limit < NO_LIMIT else None


def _waiting(section: Json) -> float | None:
    psi = section.get("psi")
    return psi["some"]["avg10"] if psi else None
