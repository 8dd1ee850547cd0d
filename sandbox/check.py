"""Proves of a plan what its compilers promise; used by tests, by `pyrunc plan` and when a plan is changed, not on every
start.

- phases of `init` never go backwards, and each operation stands in its own phase;
- every slot is written exactly once and before it is read; the host's slots before `launch`;
- rendezvous pair up: the host awaits and answers exactly those that init syncs at, in the same order.
"""

from __future__ import annotations

from pyrunc.sandbox.operations import OPERATIONS, PHASES, RENDEZVOUS
from pyrunc.sandbox.wire import kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.plan import Operation, Plan


def problems(plan: Plan) -> list[str]:
    """Sentences about what is wrong with the plan; empty when it is sound."""
    return _phases(plan) + _slots(plan) + _rendezvous(plan)


def _phases(plan: Plan) -> list[str]:
    found = []
    last = 0
    for index, operation in enumerate(plan.init):
        own = OPERATIONS[operation.name][1]
        if own is not None and PHASES[operation.phase] != own:
            found.append(f"init[{index}] {operation.name}: phase {PHASES[operation.phase]}, belongs to {own}")
        if operation.phase < last:
            found.append(f"init[{index}] {operation.name}: {PHASES[operation.phase]} after {PHASES[last]}")
        last = max(last, operation.phase)
    return found


def _slots(plan: Plan) -> list[str]:
    found = []
    written: set[object] = set()
    launched = [index for index, operation in enumerate(plan.host) if operation.name == "launch"]
    if len(launched) != 1:
        found.append(f"host: {len(launched)} launch operations")
    sides: list[tuple[str, list[Operation]]] = [("host", plan.host), ("init", plan.init)]
    for side, operations in sides:
        for index, operation in enumerate(operations):
            for kind, value in zip(kinds(operation.name), operation.values, strict=True):
                if kind not in "io" or not isinstance(value, str):
                    continue
                if kind == "i" and value and value not in written:
                    found.append(f"{side}[{index}] {operation.name}: slot {value} is read before it is written")
                if kind == "o" and value:
                    if value in written:
                        found.append(f"{side}[{index}] {operation.name}: slot {value} is written twice")
                    if side == "host" and launched and index > launched[0]:
                        found.append(f"host[{index}] {operation.name}: slot {value} is written after launch")
                    written.add(value)
    return found


def _rendezvous(plan: Plan) -> list[str]:
    wanted = [operation.values[0] for operation in plan.init if operation.name == "sync"]
    awaited = [operation.values[0] for operation in plan.host if operation.name == "await"]
    answered = [operation.values[0] for operation in plan.host if operation.name == "answer"]

    def names(numbers: list[object]) -> str:
        return " ".join(RENDEZVOUS[number] for number in numbers if isinstance(number, int)) or "none"

    if wanted == awaited == answered:
        return []
    return [
        f"rendezvous: init syncs at {names(list(wanted))}; "
        f"host awaits {names(list(awaited))}, answers {names(list(answered))}"
    ]
