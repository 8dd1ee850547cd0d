"""The steps of a plan that systemd carries out. Acts on what it is told, decides nothing."""

from __future__ import annotations

import posix

from pyrunc.sandbox.cgroup.steps import check_unused
from pyrunc.sandbox.systemd.manager import change_unit, enter_unit, start_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrunc.sandbox.launch import Launch
    from pyrunc.sandbox.plan import Operation


def start(launch: Launch, operation: Operation) -> None:
    """With the launcher in it, because systemd wants a process for a scope, and init, its child, is then in it from its
    first instruction on."""
    empty, manager, unit, folders, properties = operation.values
    for folder in folders:  # type: ignore[union-attr]
        if posix.access(folder, posix.F_OK):  # type: ignore[arg-type]
            check_unused(folder)  # type: ignore[arg-type]
    name = str(manager), str(unit)
    start_unit(name, properties, 0 if empty else launch.ready())  # type: ignore[arg-type]
    launch.unit = name


def change(launch: Launch, operation: Operation) -> None:
    manager, unit, properties = operation.values
    change_unit((str(manager), str(unit)), properties)  # type: ignore[arg-type]


def enter(launch: Launch, operation: Operation) -> None:
    """The launcher, and so the process that it makes."""
    manager, unit, below = (str(value) for value in operation.values)
    enter_unit((manager, unit), below, launch.ready())


STEPS: dict[str, Callable[[Launch, Operation], None]] = {
    "start_unit": start,
    "change_unit": change,
    "enter_unit": enter,
}
