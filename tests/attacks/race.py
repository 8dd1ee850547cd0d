"""Forced races: what a test does between a check and its use, while stopper.c holds the launcher at a system call."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from tests.system.runtime import Runtime

Action = Callable[[int], object]  # gets the pid of the process that was stopped


class Stop:
    """The entry or exit of a system call, of one whose argument is `text` if that is given; and what to do then."""

    def __init__(self, call: str, action: Action, *, text: str = "", argument: int = 1, at: str = "exit") -> None:
        self.words = (call, at, str(argument), text)
        self.action = action


class Stopper:
    def __init__(self, program: Path) -> None:
        self.program = program

    @contextmanager
    def stops(self, runtime: Runtime, *stops: Stop) -> Iterator[tuple[int, int]]:
        """Commands of `runtime` are stopped meanwhile; they have to be given the two fds that this yields. All the
        stops must be met, in their order."""
        report, their_report = os.pipe()
        their_go, go = os.pipe()
        trouble: list[BaseException] = []
        done: list[Stop] = []

        def act() -> None:
            with open(report) as lines, open(go, "wb", buffering=0) as answers:
                for stop, line in zip(stops, lines, strict=False):
                    try:
                        stop.action(int(line))
                    except BaseException as error:
                        trouble.append(error)
                    done.append(stop)
                    answers.write(b"g")

        thread = Thread(target=act)
        thread.start()
        words = [word for stop in stops for word in stop.words]
        with runtime.below(str(self.program), str(their_report), str(their_go), *words, "--"):
            try:
                yield their_report, their_go
            finally:
                os.close(their_report)
                os.close(their_go)
                thread.join(20)
        if trouble:
            raise trouble[0]
        assert len(done) == len(stops), f"only {len(done)} of {len(stops)} stops were met"

    @contextmanager
    def without(self, runtime: Runtime, call: str) -> Iterator[None]:
        """Commands of `runtime` run on a kernel that lacks a system call."""
        with runtime.below(str(self.program), "without", call, "--"):
            yield


def inside(pid: int, *command: str, kinds: Sequence[str] = ("--mount", "--ipc")) -> str:
    """What a command of the container's, or the host's where `kinds` has no mount namespace, prints in its
    namespaces."""
    done = subprocess.run(["nsenter", "-t", str(pid), *kinds, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout


def mount_points(pid: int) -> list[str]:
    return [line.split()[4] for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]


def exchange(path: Path, target: str | Path) -> Action:
    """Puts a symbolic link in the place of `path`, which moves away."""

    def act(pid: int) -> None:
        path.rename(path.with_name(f"{path.name}.moved"))
        path.symlink_to(target)

    return act
