"""Freezing, killing, listing and removing real cgroups, and the steps that make them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc.sandbox.cgroup import CgroupPlan, control, steps
from pyrunc.sandbox.cgroup.layout import Layout
from pyrunc.specs.errors import Failure, PyruncError
from tests.sandbox.cgroup.conftest import Make
from tests.sandbox.documents import resources

Spawn = Callable[[CgroupPlan, str], subprocess.Popen[bytes]]


def ticks(pid: int) -> int:
    """CPU time that the process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


def test_freeze_and_thaw(make: Make, spawn: Spawn) -> None:
    """A frozen process uses no CPU time, a thawed one goes on."""
    plan = make()
    assert plan.freezer
    busy = spawn(plan, "while :; do :; done")
    time.sleep(0.05)

    control.freeze(plan.freezer)
    before = ticks(busy.pid)
    assert control.is_frozen(plan.freezer)
    time.sleep(0.1)
    assert ticks(busy.pid) == before
    control.thaw(plan.freezer)
    assert not control.is_frozen(plan.freezer)
    time.sleep(0.2)
    assert ticks(busy.pid) > before


def test_thaw_what_has_gone(tmp_path: Path) -> None:
    """A cgroup that goes between a look at it and the thawing is an error, but not for whoever wants it to end."""
    freezer = ("v2", str(tmp_path / "gone/cgroup.freeze"))

    control.thaw(freezer, or_gone=True)
    with pytest.raises(Failure, match="cannot thaw .*: ENOENT"):
        control.thaw(freezer)


def test_frozen_is_not_reused(make: Make) -> None:
    """A cgroup that is frozen may not become a container's, an empty one may."""
    plan = make()
    assert plan.freezer
    folder = plan.freezer[1].rpartition("/")[0]

    for path in plan.folders:
        steps.check_unused(path)
    control.freeze(plan.freezer)
    with pytest.raises(PyruncError, match="container's cgroup unexpectedly frozen"):
        steps.check_unused(folder)
    control.thaw(plan.freezer)


def test_not_empty_is_not_reused(make: Make, spawn: Spawn) -> None:
    """Processes of others, in the cgroup or below, keep a container out."""
    plan = make()
    child = spawn(plan, "exec sleep 100")
    folder = plan.folders[-1]
    os.mkdir(f"{folder}/below")
    steps.write(f"{folder}/below/cgroup.procs", str(child.pid))

    with pytest.raises(PyruncError, match="container's cgroup is not empty: 1 process\\(es\\) found"):
        steps.check_unused(folder)


def test_pids(make: Make, spawn: Spawn) -> None:
    """Processes of the cgroups and of those below, each once though it is in every hierarchy."""
    plan = make()
    first, second = spawn(plan, "exec sleep 100"), spawn(plan, "exec sleep 100")
    os.mkdir(f"{plan.folders[0]}/deep")
    os.mkdir(f"{plan.folders[0]}/deep/er")
    steps.write(f"{plan.folders[0]}/deep/er/cgroup.procs", str(second.pid))
    time.sleep(0.1)

    assert {first.pid, second.pid} <= set(control.pids(plan.folders))
    assert len(control.pids(plan.folders)) == len(set(control.pids(plan.folders)))
    assert control.pids(["/sys/fs/cgroup/no/such"]) == []


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("by_kill_file", [True, False])
def test_kill_all(layout: Layout, make: Make, spawn: Spawn, frozen: bool, by_kill_file: bool) -> None:
    """Every process dies, frozen or forking, with cgroup.kill and without it."""
    plan = make()
    folders = plan.folders
    if not by_kill_file:
        folders = [path for path in folders if not os.path.exists(f"{path}/cgroup.kill")]
        if not folders:
            pytest.skip("needs cgroup v1")
    child = spawn(plan, "while :; do sleep 0.01 & done")
    time.sleep(0.1)
    if frozen and plan.freezer:
        control.freeze(plan.freezer)

    control.kill_all(folders, plan.freezer)

    assert child.wait(10) == -signal.SIGKILL
    control.remove(plan.folders)
    assert not any(os.path.exists(path) for path in plan.folders)


def test_remove_waits_for_the_dying(make: Make, spawn: Spawn) -> None:
    """A cgroup with children of its own and a process that is just ending goes; one that has gone is fine."""
    plan = make()
    os.makedirs(f"{plan.folders[0]}/a/b")
    child = spawn(plan, "sleep 0.3")

    control.remove(plan.folders)
    control.remove(plan.folders)

    assert not any(os.path.exists(path) for path in plan.folders)
    assert child.wait(5) == 0


def test_remove_says_why_not(make: Make, spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a living process inside it gives up, and says so."""
    plan = make()
    spawn(plan, "exec sleep 100")
    monkeypatch.setattr(control.time, "sleep", lambda _: None)

    with pytest.raises(Failure, match=r"EBUSY.*1 process\(es\) are still in it"):
        control.remove(plan.folders)


def test_limits_hold(make: Make, spawn: Spawn) -> None:
    """A limit that is compiled and written is one that the kernel keeps: the third process is refused."""
    try:
        plan = make(resources(pids={"limit": 2}))
    except (Failure, OSError) as error:
        pytest.skip(f"needs the pids controller: {error}")
    child = spawn(plan, "sleep 1 & sleep 1 & wait")

    assert child.wait(10) != 0


def test_inherited_cpuset(layout: Layout, make: Make) -> None:
    """cgroup v1: a new cpuset has its parent's CPUs and nodes."""
    cpuset = next((h for h in layout.hierarchies if "cpuset" in h.controllers), None)
    if cpuset is None:
        pytest.skip("needs the cpuset controller of cgroup v1")
    plan = make()
    own = next(path for path in plan.folders if path.startswith(cpuset.mount + "/"))

    for file in ("cpuset.cpus", "cpuset.mems"):
        assert steps.read(f"{own}/{file}") == steps.read(f"{cpuset.mount}/{file}") != ""


def test_either(tmp_path: object) -> None:
    """The first file that exists is written, the other is left alone."""
    first, other = f"{tmp_path}/first", f"{tmp_path}/other"
    with open(other, "w", encoding="ascii"):
        pass

    steps.write_either(first, "1", other, "2")
    assert steps.read(other) == "2"
    with open(first, "w", encoding="ascii"):
        pass
    steps.write_either(first, "1", other, "3")
    assert (steps.read(first), steps.read(other)) == ("1", "2")
    with pytest.raises(Failure, match="ENOENT"):
        steps.write_either(f"{tmp_path}/none", "1", f"{tmp_path}/neither", "2")
