"""The kernel's news of real cgroups: memory that runs out, and the end."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import pytest

from pyrunc.sandbox.cgroup import CgroupPlan
from pyrunc.sandbox.cgroup.control import kill_all, remove
from pyrunc.sandbox.cgroup.watch import Watch
from pyrunc.specs.errors import Failure
from tests.sandbox.cgroup.conftest import Make
from tests.sandbox.documents import resources

Spawn = Callable[[CgroupPlan, str], "subprocess.Popen[bytes]"]
MB = 1 << 20


def test_memory_runs_out(make: Make, spawn: Spawn) -> None:
    """A process that is killed for want of memory is told at once, and once; then comes the end."""
    try:
        plan = make(resources(memory={"limit": 8 * MB, "swap": 8 * MB}))
    except (Failure, OSError) as error:
        pytest.skip(f"needs memory and swap limits: {error}")
    with Watch(plan.folders) as watch:
        sleeper = spawn(plan, "exec sleep 60")
        assert watch.wait(0.05)[0] == 0
        hog = spawn(plan, "exec head -c 64m /dev/zero | tail -c 64m")
        end = time.monotonic() + 10
        kills = 0
        while not kills and time.monotonic() < end:
            kills += watch.wait(end - time.monotonic())[0]
        assert kills >= 1
        hog.wait(10)
        kill_all(plan.folders, plan.freezer)
        sleeper.wait(10)
        remove(plan.folders)
        ended = False
        while not ended and time.monotonic() < end:
            ended = watch.wait(end - time.monotonic())[1]
        assert ended


def test_time_passes(make: Make) -> None:
    """Nothing happens: `wait` returns when the time is over."""
    plan = make()
    with Watch(plan.folders) as watch:
        began = time.monotonic()
        assert watch.wait(0.05)[0] == 0
        assert time.monotonic() - began < 1


def test_leaves_no_descriptors(make: Make) -> None:
    """Everything that was opened is closed."""
    plan = make()
    before = os.listdir("/proc/self/fd")
    with Watch(plan.folders):
        pass
    assert os.listdir("/proc/self/fd") == before


def test_without_cgroups() -> None:
    """No cgroups: nothing is seen, and nothing fails."""
    with Watch([]) as watch:
        assert watch.wait(0) == (0, False)
