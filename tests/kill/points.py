"""Every system call of a command as a point at which it is killed: counting them, choosing some, and killing there.

Two points with nothing but calls without effect between them (stat, mmap, ...) are one: what is left is the same.
Knows processes and roles, and nothing of what the command does; what has to hold afterwards stands in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..system.runtime import Result, Runtime

ROLES = ("command", "launcher", "init")
ENOUGH = 8  # failures, after which no more are collected


class Point(NamedTuple):
    """Before its `number`-th system call the process of this role is killed, or all that the command started."""

    role: int
    number: int
    tree: bool

    def __str__(self) -> str:
        return f"{ROLES[self.role]} at call {self.number}{', with all others' if self.tree else ''}"


class Killer:
    """Runs the commands of a runtime below the helper killer.c."""

    def __init__(self, program: Path, command: list[str], prefix: str, report: Path, uid: int = 0) -> None:
        self.program = program
        self.command = command
        self.prefix = prefix
        self.report = report
        self.uid = uid

    @contextmanager
    def over(self, runtime: Runtime, point: Point | None = None, init: int = 0) -> Iterator[None]:
        """Commands are counted meanwhile, or killed at the point. `init`: a process that counts as the third role."""
        words = [str(self.program), "-o", str(self.report), "-s", self.prefix, "-u", str(self.uid), "-p", str(init)]
        if point is not None:
            words += ["-k", str(point.role), "-n", str(point.number), *(["-t"] if point.tree else [])]
        self.report.unlink(missing_ok=True)
        plain, runtime.command = runtime.command, [*words, "--", *self.command]
        try:
            yield
        finally:
            runtime.command = plain

    def counts(self) -> list[int]:
        """System calls of each role in the command that ran last."""
        return [int(word) for word in self.report.read_text().split()[: len(ROLES)]]

    def call(self) -> int:
        """The number of the system call at which the last command was killed; -1 when it never came so far."""
        return int(self.report.read_text().split()[len(ROLES)])


def choose(counts: list[int], step: int) -> list[Point]:
    """Every point in both variants for step 1; else every step-th, where the variants take turns."""
    alone = counts[1] == 0  # the command starts no process
    points: list[Point] = []
    for role, count in enumerate(counts):
        for number in range(1, count + 1, step):
            trees = (False,) if alone else (False, True) if step == 1 else (len(points) % 2 == 1,)
            points += [Point(role, number, tree) for tree in trees]
    return points


def sweep(
    killer: Killer,
    step: int,
    act: Callable[[Point | None], Result],
    check: Callable[[int, Result], str],
) -> int:
    """Kills `act` at each chosen point and asks `check` what is wrong then, "" for nothing. Returns how many were
    tried."""
    for _ in range(2):  # the first time fills caches, which takes other calls
        result = act(None)
        assert result.ok, result
        problem = check(0, result)
        assert not problem, f"not killed at all: {problem}"
    tried, failures = 0, list[str]()
    for index, point in enumerate(choose(killer.counts(), step)):
        result = act(point)
        call = killer.call()
        tried += call >= 0
        problem = check(index, result)
        if "internal error" in result.err:
            problem = f"{result.err}; {problem}"
        if problem:
            failures.append(f"{point} (system call {call}): {problem}")
            if len(failures) == ENOUGH:
                break
    assert not failures, "\n".join(failures)
    return tried
