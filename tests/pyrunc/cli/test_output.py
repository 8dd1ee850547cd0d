"""Standard output that is full, closed, or that nobody reads; standard input that is closed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from ..command import PACKAGES, PROGRAM

PROGRAMS = {
    "ordinary interpreter": [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, PACKAGES],
    "own interpreter": [f"{os.path.dirname(sys.executable)}/pyrunc"],
}
# Less than the buffer of a stream, more than it, and one of the few commands that write while they work.
COMMANDS = ["features", "completion bash", "top --once", "help --man run"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=PROGRAMS)
def run(request: pytest.FixtureRequest) -> Run:
    program = PROGRAMS[request.param]
    if not os.access(program[0], os.X_OK):
        pytest.skip(f"{program[0]} is not installed")

    def started(line: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [*program, *line.split()], stderr=subprocess.PIPE, text=True, timeout=60, **options
        )

    return started


@pytest.mark.parametrize("command", COMMANDS)
def test_full(run: Run, command: str) -> None:
    """Output that cannot be written is an error, not silence."""
    with open("/dev/full", "w") as full:
        done = run(command, stdout=full)

    assert done.returncode == 1
    assert done.stderr.count("level=error") == 1
    assert "cannot write to standard output: ENOSPC" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_no_reader(run: Run, command: str) -> None:
    """Who has read enough may go: no error."""
    reader, writer = os.pipe()
    os.close(reader)
    done = run(command, stdout=writer)
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_closed(run: Run, command: str) -> None:
    """Without a standard output there is nothing to write to, and that is no error."""
    done = run(command, preexec_fn=lambda: os.close(1))

    assert (done.returncode, done.stderr) == (0, "")


def test_closed_input(run: Run) -> None:
    """A standard input that is not there is an empty one, which is an error where something should come from it."""
    done = run("update -r - box", preexec_fn=lambda: os.close(0))

    assert done.returncode == 1
    assert done.stderr.count("level=error") == 1 and "internal error" not in done.stderr
