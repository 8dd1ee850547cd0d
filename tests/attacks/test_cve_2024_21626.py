"""CVE-2024-21626: a descriptor of a folder of the host's is open in the runtime, and the working folder is
/proc/self/fd/N."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.box import Box

from .conftest import Bundle, Unguarded

NUMBER = 77
READ = ("sh", "-c", f"cat ./secret; cat /proc/self/fd/{NUMBER}/secret")


@pytest.fixture
def leaked(outside: Path) -> Iterator[int]:
    """A folder of the host's, open where the container looks for it."""
    (outside / "secret").write_text("secret\n")
    fd = os.open(outside, os.O_RDONLY | os.O_DIRECTORY)
    os.dup2(fd, NUMBER)
    yield NUMBER
    os.close(NUMBER)
    os.close(fd)


def by_folder(box: Box, leaked: int) -> list[str]:
    """What `run` and `exec` print when they begin in the folder."""
    up = box.up().exec(*READ, flags=("--cwd", f"/proc/self/fd/{leaked}"), pass_fds=[leaked])
    assert box.delete("--force").ok
    box.process["cwd"] = f"/proc/self/fd/{leaked}"
    box.process["args"] = list(READ)
    return [up.out, box.run(pass_fds=[leaked]).out]


def by_descriptor(box: Box, leaked: int) -> list[str]:
    """The same, when the descriptor is used by the process itself."""
    box.process["args"] = list(READ)
    ran = box.run(pass_fds=[leaked]).out
    return [ran, box.up().exec(*READ, pass_fds=[leaked]).out]


def test_attack_fails(bundle: Bundle, leaked: int) -> None:
    """Neither way reads anything: no such folder to begin in, no such descriptor."""
    assert by_folder(bundle(), leaked) == ["", ""]
    assert by_descriptor(bundle(), leaked) == ["", ""]


def test_guard_is_what_stops_it(bundle: Bundle, leaked: int, unguarded: Unguarded) -> None:
    """Both ways lead to the host's file: once in each place, or twice."""
    assert by_folder(unguarded(bundle()), leaked) == ["secret\nsecret\n"] * 2
    assert by_descriptor(unguarded(bundle()), leaked) == ["secret\n"] * 2
