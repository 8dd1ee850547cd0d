"""`events`: statistics of a container at intervals, and the moments when its memory ran out, until it has ended.

Returns and yields values in runc's form; must not print.
"""

from __future__ import annotations

import time

from pyrunc.manage import state
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pyrunc.record import Record

    Event = dict[str, Any]


def statistics(root: str, id: str) -> Event:
    """What the container has used until now; all zeros where it has no cgroup to count for it."""
    record = _running(root, id)
    return _statistics(record, _shared_caches(root, record))


def events(root: str, id: str, interval: float) -> Iterator[Event]:
    """Statistics every `interval` seconds, `oom` events as they happen; ends when all processes of the container have
    ended or its cgroup has gone."""
    from pyrunc.sandbox.cgroup.watch import Watch

    record = _running(root, id)
    if not record.cgroups:
        raise PyruncError("cgroup not exist", hint="the container was made without a cgroup of its own")
    caches = _shared_caches(root, record)
    with Watch(record.cgroups) as watch:
        due = time.monotonic() + interval
        ended = False
        while not ended:
            kills, ended = watch.wait(due - time.monotonic())
            for _ in range(kills):
                yield {"type": "oom", "id": record.id}
            if not ended and time.monotonic() >= due:
                # Late by more than a whole interval (the reader was slow): not made up for.
                due = max(due + interval, time.monotonic())
                yield _statistics(record, caches)


def _running(root: str, id: str) -> Record:
    record, status = state(root, id)
    if status == "stopped":
        raise PyruncError(f"container with id {id} is not running")
    return record


def _shared_caches(root: str, record: Record) -> Callable[[], Event]:
    """What tells of the container's share of caches and memory bandwidth, if the document gives it one."""
    if "resctrl" not in record.needs:
        return dict
    from pyrunc.bundle import read_config
    from pyrunc.sandbox.resctrl import groups, read_resctrl, read_stats
    from pyrunc.specs.runtime import decode_spec
    from pyrunc.store import Store

    rdt = decode_spec(read_config(f"{Store(root).path(record.id)}/config.json")).linux.intel_rdt
    host = read_resctrl()
    if rdt is None or host is None:
        return dict
    where = groups(rdt, record.id, host)
    return lambda: read_stats(where, host)


def _statistics(record: Record, caches: Callable[[], Event]) -> Event:
    from pyrunc.sandbox.cgroup.stats import read_stats

    return {"type": "stats", "id": record.id, "data": {**read_stats(record.cgroups), "intel_rdt": caches()}}
