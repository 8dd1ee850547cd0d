"""Tells whoever debugs of each step of a plan, as it is known to be done: the host's at once, init's when init has come
to the next rendezvous, to its end or to its failure. Only loaded for --debug."""

from __future__ import annotations

from pyrunc.sandbox.describe import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyrunc.sandbox.plan import Operation, Plan


# Words of runc's log by which people and its own test suite look for these steps.
ALIASES = {
    "spawn": ("nsexec container setup", "child process in init()"),
    "exec": ("init: closing the pipe to signal completion", "setns_init: about to exec"),
}


class Trace:
    """`say` gets a sentence on each step."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.say = say
        self.told = 0  # operations of init

    def host(self, operation: Operation, synced: int) -> None:
        """An operation of the host is done. `synced`: how far init has come, after an `await`."""
        if operation.name == "await":
            self.init(synced)
        elif operation.name != "answer":
            self.say(f"host: {describe(operation)}")

    def init(self, end: int) -> None:
        """init has done what stands before operation `end`."""
        for operation in self.plan.init[self.told : end]:
            for words in ALIASES.get(operation.name, ()):
                self.say(words)
            if operation.name != "sync":
                self.say(f"init: {describe(operation)}")
            if operation.name == "cpu_affinity" and operation.values[0]:
                self.say(f"nsexec: affinity: {int.from_bytes(operation.values[0], 'little'):#x}")  # type: ignore[arg-type]
        self.told = max(self.told, end)
