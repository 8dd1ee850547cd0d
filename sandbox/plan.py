"""Plans: what will be done, as two flat lists of operations over named slots.

`host` is carried out by Python (launch.py), `init` by the launcher. A plan holds no process id, no fd and nothing of
the process that made it: it can be printed, compared and sent. Slots are names here and become numbers on the wire.
Must not do anything to the system.
"""

from __future__ import annotations

from pyrunc.sandbox.operations import OPERATIONS, PHASES, RENDEZVOUS, TOLERANCES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrunc.sandbox.systemd.properties import Property

    Value = int | str | bytes | Sequence[str] | Sequence[Property]

PHASE_NUMBER = {name: number for number, name in enumerate(PHASES)}
RENDEZVOUS_NUMBER = {name: number for number, name in enumerate(RENDEZVOUS)}


class Operation:
    """One operation: its name, its values in wire order, where in config.json it comes from, what it tolerates.

    A slot value is the slot's name, "" for none.
    """

    __slots__ = ("name", "phase", "pointer", "tolerances", "values")

    def __init__(self, name: str, pointer: str, values: tuple[Value, ...], tolerances: int, phase: int) -> None:
        self.name = name
        self.pointer = pointer
        self.values = values
        self.tolerances = tolerances
        self.phase = phase


def op(name: str, pointer: str, *values: Value, tolerate: str = "", phase: str = "") -> Operation:
    """Makes an `init` operation. `values` in wire order (numbers and slots, then texts); `tolerate`: names with spaces
    between; `phase` only for operations whose table entry leaves it open."""
    bits = 0
    if tolerate:
        for word in tolerate.split():
            bits |= TOLERANCES[word]
    return Operation(name, pointer, values, bits, PHASE_NUMBER[phase or OPERATIONS[name][1] or ""])


def host(name: str, pointer: str, *values: Value, tolerate: str = "") -> Operation:
    """Makes a `host` operation (HOST_OPERATIONS); phases do not apply."""
    return Operation(name, pointer, values, TOLERANCES[tolerate] if tolerate else 0, -1)


def sync(rendezvous: str, pointer: str, phase: str, send: str = "") -> Operation:
    """Makes the `sync` operation of a named rendezvous."""
    return op("sync", pointer, RENDEZVOUS_NUMBER[rendezvous], send, phase=phase)


class Plan:
    """`host` and `init` operations, and what has to be remembered of them.

    `warnings` are sentences about what the document asked for and nobody can give; `folders` the cgroup folders that
    are the container's own, `resctrl` such folders there; `freezer` ("v1" or "v2", file) or None; `unit` ("system" or
    "user", name of the systemd unit) or None.
    """

    __slots__ = ("folders", "freezer", "host", "init", "resctrl", "unit", "warnings")

    def __init__(self) -> None:
        self.host: list[Operation] = []
        self.init: list[Operation] = []
        self.warnings: list[str] = []
        self.folders: list[str] = []
        self.resctrl: list[str] = []
        self.freezer: tuple[str, str] | None = None
        self.unit: tuple[str, str] | None = None

    def slots(self) -> list[str]:
        """Names of all slots, those that the host fills first, each in order of first use."""
        from pyrunc.sandbox.wire import slot_names

        return slot_names(self.host, self.init)
