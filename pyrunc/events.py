"""`events`: statistics of a container at intervals, and the moments when its memory ran out, until it has ended.

Returns and yields values in runc's form; must not print.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from pyrunc.manage import state
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.record import Record

Event = dict[str, Any]


def statistics(root: str, id: str) -> Event:
    """What the container has used until now."""
    return _statistics(_running(root, id))


def events(root: str, id: str, interval: float) -> Iterator[Event]:
    """Statistics every `interval` seconds, `oom` events as they happen; ends when all processes of the container have
    ended or its cgroup has gone."""
    from pyrunc.sandbox.cgroup.watch import Watch

    record = _running(root, id)
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
                yield _statistics(record)


def _running(root: str, id: str) -> Record:
    record, status = state(root, id)
    if status == "stopped":
        raise PyruncError(f"container with id {id} is not running")
    if not record.cgroups:
        raise PyruncError("cgroup not exist", hint="the container was made without a cgroup of its own")
    return record


def _statistics(record: Record) -> Event:
    from pyrunc.sandbox.cgroup.stats import read_stats

    return {"type": "stats", "id": record.id, "data": read_stats(record.cgroups)}
