"""What this kernel, this machine and this user can do for containers, as rows for people: `pyrunc doctor`.

    machine.py  where answers come from: files below a root folder, and what the kernel says to a try
    checks.py   what the answers mean: one function a subject
    probe.py    the tries, made by a process of their own

Off the hot path. Must change nothing: what a try makes belongs to the probe and ends with it.
"""

from __future__ import annotations

OK, LIMITED, MISSING = "ok", "limited", "missing"


class Check:
    """One row: `found` says what is there, `why` what it is good for, `remedy` how to get it ("" when all is well).
    `needed`: without it no container runs."""

    __slots__ = ("found", "name", "needed", "remedy", "result", "why")

    def __init__(self, name: str, result: str, found: str, why: str, remedy: str = "", needed: bool = False) -> None:
        self.name = name
        self.result = result
        self.found = found
        self.why = why
        self.remedy = "" if result == OK else remedy
        self.needed = needed


def examine() -> list[Check]:
    """Every row for this machine and this user."""
    from pyrunc.sandbox.doctor.checks import SUBJECTS
    from pyrunc.sandbox.doctor.machine import Machine

    machine = Machine()
    return [check for subject in SUBJECTS for check in subject(machine)]


def healthy(checks: list[Check]) -> bool:
    """Whether containers can be run at all."""
    return not any(check.needed and check.result == MISSING for check in checks)
