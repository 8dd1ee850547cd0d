"""What is asked of systemd: start, change and stop a unit, and put processes into it.

Acts on what it is told; must not know the document. The manager of the "system" is process 1, that of the "user" the
caller's own.
"""

from __future__ import annotations

import time

from pyrunc.sandbox.systemd.bus import PATIENCE, Bus, Refused, system_bus, user_bus
from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pyrunc.sandbox.systemd.properties import Property

    Unit = tuple[str, str]  # "system" or "user", name

NAME = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
MANAGER = "org.freedesktop.systemd1.Manager"
DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
JOBS = f"type='signal',sender='{NAME}',path='{PATH}',interface='{MANAGER}',member='JobRemoved'"
NO_UNIT = "org.freedesktop.systemd1.NoSuchUnit"
UNIT_EXISTS = "org.freedesktop.systemd1.UnitExists"
POINTER = "linux.cgroupsPath"
# What younger versions of systemd know, and what is also written to the cgroup's files: left out where it is refused.
DISPENSABLE = (
    "AllowedCPUs", "AllowedMemoryNodes", "CPUQuotaPeriodUSec", "CPUWeight", "IOWeight", "MemorySwapMax", "MemoryMin",
    "CPUShares", "MemoryLimit", "BlockIOWeight", "BlockIOAccounting",
)  # fmt: skip


class Manager:
    """A conversation with systemd; to be closed."""

    def __init__(self, whose: str) -> None:
        self.bus: Bus = user_bus() if whose == "user" else system_bus()

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self.bus.close()

    def control_group(self) -> str:
        """The cgroup below which this systemd makes its units; "" for the top of what it sees."""
        answer = self.bus.call(NAME, PATH, "org.freedesktop.DBus.Properties", "Get", "ss", MANAGER, "ControlGroup")
        return str(answer[0][1]).rstrip("/")

    def start(self, unit: str, properties: Sequence[Property], pids: Sequence[int] = ()) -> None:
        """Starts a transient unit and puts the processes into it, with the properties in force; returns when all that
        has happened."""
        self._listen()
        wanted = list(properties)
        if pids:
            wanted.append(("PIDs", "au", list(pids)))
        forgotten = False
        while True:
            try:
                job = self._call("StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "replace", _variants(wanted), [])[0]
                break
            except Refused as error:
                if error.name == UNIT_EXISTS and not forgotten:
                    forgotten = True  # one that failed stays in the list until it is told to go
                    self.reset_failed(unit)
                    continue
                if not _leave_out(wanted, error):
                    raise Failure(
                        f"start unit {unit}", POINTER, detail=str(error),
                        hint="another container has it" if error.name == UNIT_EXISTS else None,
                    ) from None  # fmt: skip
        result = self._finished(str(job))
        if result != "done":
            self.reset_failed(unit)
            raise Failure(
                f"start unit {unit}", POINTER, detail=f"systemd says {result}", hint=f"see `journalctl -u {unit}`"
            )

    def change(self, unit: str, properties: Sequence[Property]) -> None:
        """Sets properties until the unit ends."""
        wanted = list(properties)
        while wanted:
            try:
                self._call("SetUnitProperties", "sba(sv)", unit, True, _variants(wanted))
                return
            except Refused as error:
                if not _leave_out(wanted, error):
                    raise Failure(f"change unit {unit}", POINTER, detail=str(error)) from None

    def attach(self, unit: str, below: str, pids: Sequence[int]) -> None:
        """Moves processes into the unit's cgroup, or one below it: systemd may where the caller may not."""
        try:
            self._call("AttachProcessesToUnit", "ssau", unit, below, list(pids))
        except Refused as error:
            raise Failure(f"enter unit {unit}", POINTER, detail=str(error)) from None

    def stop(self, unit: str) -> None:
        """Stops the unit, if it is there, and has systemd forget that it failed."""
        self._listen()
        try:
            job = self._call("StopUnit", "ss", unit, "replace")[0]
        except Refused as error:
            if error.name == NO_UNIT:
                return
            raise Failure(f"stop unit {unit}", POINTER, detail=str(error)) from None
        self._finished(str(job))  # whatever came of it: what is left in the cgroup is seen there
        self.reset_failed(unit)

    def reset_failed(self, unit: str) -> None:
        try:
            self._call("ResetFailedUnit", "s", unit)
        except Refused:
            pass  # it has gone, or did not fail

    def _call(self, member: str, signature: str = "", *body: Any) -> list[Any]:
        return self.bus.call(NAME, PATH, MANAGER, member, signature, *body)

    def _listen(self) -> None:
        """A bus sends signals to those who ask for them; systemd itself sends them in any case."""
        if not self.bus.direct:
            self.bus.call(*DBUS, "AddMatch", "s", JOBS)
            try:
                self._call("Subscribe")
            except Refused:
                pass  # subscribed already

    def _finished(self, job: str) -> str:
        """What became of a job."""
        end = time.monotonic() + PATIENCE
        while True:
            signal = self.bus.signal("JobRemoved", end - time.monotonic())
            if len(signal) == 4 and signal[1] == job:
                return str(signal[3])


def _variants(properties: Sequence[Property]) -> list[tuple[str, tuple[str, Any]]]:
    return [(name, (signature, value)) for name, signature, value in properties]


def _leave_out(properties: list[Property], error: Refused) -> bool:
    """Takes out the property that this version of systemd does not know, if we can do without it."""
    words = str(error).replace(",", " ").split()
    for name in DISPENSABLE:
        if name in words and any(item[0] == name for item in properties):
            properties[:] = [item for item in properties if item[0] != name]
            return True
    return False


def start_unit(unit: Unit, properties: Sequence[Property], pid: int) -> None:
    with Manager(unit[0]) as manager:
        manager.start(unit[1], properties, (pid,) if pid else ())


def stop_unit(unit: Unit) -> None:
    with Manager(unit[0]) as manager:
        manager.stop(unit[1])


def change_unit(unit: Unit, properties: Sequence[Property]) -> None:
    with Manager(unit[0]) as manager:
        manager.change(unit[1], properties)


def enter_unit(unit: Unit, below: str, pid: int) -> None:
    with Manager(unit[0]) as manager:
        manager.attach(unit[1], below, (pid,))
