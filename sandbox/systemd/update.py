"""New limits of a living container whose cgroup systemd made: what it has to be told besides the cgroup's files.

The files are written first, because the kernel says most clearly what it does not take; then systemd is told, which
writes its own idea of them; then they are written again. Off the hot path; must not write files itself.
"""

from __future__ import annotations

from pyrunc.sandbox.cgroup.steps import read
from pyrunc.sandbox.systemd.manager import change_unit
from pyrunc.sandbox.systemd.properties import IDLE_WARNING, properties, rounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyrunc.sandbox.cgroup.update import Write


def fitting(writes: list[Write], folders: list[str]) -> tuple[list[Write], list[str]]:
    """(the writes with values as systemd has them, warnings). An idle group takes no weight."""
    idle = any(_name(path) == "cpu.idle" and value == "1" for path, value, _, _ in writes)
    given = (value for path, value, _, _ in writes if _name(path) == "cpu.cfs_period_us")
    period = next(given, _now(folders, "cpu.cfs_period_us"))
    kept = []
    warnings = []
    for path, value, pointer, tolerance in writes:
        file = _name(path)
        if file == "cpu.weight" and idle:
            warnings.append(IDLE_WARNING)
        else:
            kept.append((path, rounded(file, value, period), pointer, tolerance))
    weight = next((item for item in kept if _name(item[0]) == "cpu.weight"), None)
    if weight is not None and not any(_name(item[0]) == "cpu.idle" for item in kept):
        # A weight wakes an idle group, as systemd sees it; the file alone refuses one.
        kept.insert(0, (f"{weight[0].rpartition('/')[0]}/cpu.idle", "0", weight[2], "missing_ok"))
    return kept, warnings


def tell(unit: tuple[str, str], folders: list[str], writes: Iterable[tuple[str, str]]) -> None:
    """Makes systemd know what has been written (path, value). Raises Failure when it does not agree."""
    quota, period = _now(folders, "cpu.cfs_quota_us"), _now(folders, "cpu.cfs_period_us")
    changed = properties([(_name(path), value) for path, value in writes], quota, period)
    if changed:
        change_unit(unit, changed)


def _now(folders: list[str], file: str) -> str:
    return next((text for text in (read(f"{folder}/{file}") for folder in folders) if text is not None), "")


def _name(path: str) -> str:
    return path.rpartition("/")[2]
