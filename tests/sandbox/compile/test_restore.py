"""The plan that starts the criu of a restore: sound for every golden document, and nothing of the container's init."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc.sandbox.cgroup.layout import Layout
from pyrunc.sandbox.check import problems
from pyrunc.sandbox.compile.restore import bound, compile_restore, inherited, masked, value
from pyrunc.sandbox.describe import lines
from pyrunc.sandbox.plan import Plan
from pyrunc.sandbox.wire import encode
from pyrunc.specs.runtime import Spec, decode_spec

from .test_golden import DOCUMENTS, GOLDEN, compiled, v1, v2

ENV = {"PATH": "/sbin:/bin"}


def restoring(name: str, layout: Callable[[], Layout] = v2) -> tuple[Plan, Plan, Spec]:
    document = GOLDEN / f"{name}.json"
    create, spec = compiled(document, layout()), decode_spec(document.read_bytes())
    return compile_restore(create, spec, "/usr/sbin/criu", "/run/pyrunc/box/criu-root", ENV), create, spec


@pytest.mark.parametrize("layout", [v1, v2], ids=["v1", "v2"])
@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_sound(document: Path, layout: Callable[[], Layout]) -> None:
    """Every plan is sound and can be encoded; its cgroup operations are those of the creation, in the same order."""
    plan, create, _ = restoring(document.stem, layout)

    assert problems(plan) == []
    assert encode(plan.init, plan.slots())
    assert lines(plan)
    cgroup = {"make_cgroup", "enable_controllers", "inherit_cpuset", "write", "write_either", "open_cgroup"}
    made = [(item.name, item.values) for item in plan.host if item.name in cgroup | {"enter_cgroups"}]
    assert made == [(item.name, item.values) for item in create.host if item.name in cgroup | {"enter_cgroups"}]
    assert (plan.folders, plan.freezer) == (create.folders, create.freezer)


def test_steps() -> None:
    """One new namespace, for mounts; a tmpfs stands for each new file system; the root is clean before criu runs."""
    plan, _, _ = restoring("default")
    names = [item.name for item in plan.init]

    spawn = next(item for item in plan.init if item.name == "spawn")
    assert spawn.values[0] == 0x20000
    mounts = {value(item, "target"): value(item, "type") for item in plan.init if item.name == "mount"}
    assert {"/proc", "/dev", "/sys"} <= mounts.keys()
    assert set(mounts.values()) == {"tmpfs"}
    assert names.index("propagate_root") < names.index("open_root") < names.index("rebind_root")
    assert names[-3:] == ["find_program", "place_fd", "exec"]
    assert not {"pivot_root", "user", "capabilities", "seccomp", "wait_start", "hostname", "mask"} & set(names)


def test_namespaces() -> None:
    """Network and pid namespaces that exist are opened, and get the numbers after the conversation's."""
    plan, _, spec = restoring("joined")
    placed = [item.values for item in plan.init if item.name == "place_fd"]

    assert placed[0] == ("criu", 3)
    assert [number for _, _, _, number in inherited(spec)] == [number for _, number in placed[1:]]
    assert {kind for kind, *_ in inherited(spec)} <= {"network", "pid"}
    assert len(placed) > 1


def test_outside() -> None:
    """What is bound comes with its source; masks come with their paths."""
    _, create, spec = restoring("filesystem")

    binds = [mount.destination for mount in spec.mounts if {"bind", "rbind"} & set(mount.options)]
    assert [target for target, _ in bound(create)] == binds
    assert masked(create) == list(spec.linux.masked_paths)
