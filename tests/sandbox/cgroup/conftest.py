"""Real cgroups for tests: made from a compiled plan, and removed with whatever is in them."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

from pyrunc.sandbox.cgroup import CgroupPlan, compile_cgroup
from pyrunc.sandbox.cgroup.control import kill_all, remove
from pyrunc.sandbox.cgroup.layout import Layout, read_layout
from pyrunc.sandbox.cgroup.steps import enable_controllers, inherit_cpuset, write, write_either
from pyrunc.specs.runtime import Resources

Make = Callable[..., CgroupPlan]


@pytest.fixture
def layout(root: None) -> Layout:
    found = read_layout()
    if found.mode == "none" or not found.writable:
        pytest.skip("needs cgroups that may be written")
    return found


@pytest.fixture
def make(layout: Layout) -> Iterator[Make]:
    """Compiles and makes a cgroup; keeps to the order of the plan's steps."""
    made: list[CgroupPlan] = []
    parents: list[str] = []

    def make_cgroup(resources: Resources | None = None, path: str = "") -> CgroupPlan:
        path = path or f"/pyrunc-test-{uuid.uuid4().hex[:8]}/inner"
        plan = compile_cgroup(resources, path, layout, "test")
        made.append(plan)
        for name, _, values, tolerance in plan.steps:
            if name == "make_cgroup":
                os.makedirs(values[0], exist_ok=tolerance == "exists_ok")
                if tolerance == "exists_ok":
                    parents.append(values[0])
            elif name == "enable_controllers":
                enable_controllers(*values)
            elif name == "inherit_cpuset":
                inherit_cpuset(*values)
            elif name == "write_either":
                write_either(*values)
            else:
                try:
                    write(*values)
                except FileNotFoundError:
                    if tolerance != "missing_ok":
                        raise
        return plan

    yield make_cgroup
    for plan in made:
        kill_all(plan.folders, plan.freezer)
        remove(plan.folders)
    remove(list(reversed(parents)))


@pytest.fixture
def spawn() -> Iterator[Callable[[CgroupPlan, str], subprocess.Popen[bytes]]]:
    """Starts a shell command in a cgroup; it is in there before its first command runs."""
    children: list[subprocess.Popen[bytes]] = []

    def start(plan: CgroupPlan, script: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(["/bin/sh", "-c", f"read go; {script}"], stdin=subprocess.PIPE)
        children.append(child)
        for folder in [*plan.enter, *([plan.into] if plan.into else [])]:
            write(f"{folder}/cgroup.procs", str(child.pid))
        assert child.stdin
        child.stdin.write(b"\n")
        child.stdin.flush()
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        assert child.stdin
        child.stdin.close()
