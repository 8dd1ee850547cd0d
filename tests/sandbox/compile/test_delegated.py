"""crun's annotation run.oci.delegate-cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrunc.sandbox.cgroup.layout import Layout
from pyrunc.sandbox.check import problems
from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.sandbox.facts import Facts
from pyrunc.sandbox.plan import Plan
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.runtime import decode_spec

from .test_golden import GOLDEN, v1, v2

BOX = "/sys/fs/cgroup/box"


def compiled(name: str, layout: Layout, document: Path = GOLDEN / "default.json") -> Plan:
    spec = decode_spec(document.read_bytes())
    spec.annotations["run.oci.delegate-cgroup"] = name
    return compile_create(spec, Facts(layout), Request("box", "/bundle", "/bundle/rootfs"))


def hosts(plan: Plan) -> list[tuple[object, ...]]:
    return [(item.name, *item.values) for item in plan.host]


def test_order() -> None:
    """Init is born in the upper cgroup, which has the limits; it moves when all is ready, and controllers follow it."""
    plan = compiled("payload", v2())
    steps = hosts(plan)

    assert problems(plan) == []
    assert ("open_cgroup", "cgroup", BOX) in steps
    assert steps.index(("make_cgroup", f"{BOX}/payload")) < steps.index(("launch",))
    ready = steps.index(("await", 5))
    assert steps[ready + 1 :] == [
        ("enter_cgroups", (f"{BOX}/payload",)),
        ("enable_controllers", BOX, "cpuset cpu io memory pids"),
        ("answer", 5),
    ]
    assert plan.folders == [BOX]


def test_deeper() -> None:
    """Several levels are made and handed controllers from the top."""
    steps = hosts(compiled("/a/b/", v2()))

    assert [step[1] for step in steps if step[0] == "make_cgroup"][-2:] == [f"{BOX}/a", f"{BOX}/a/b"]
    assert [step[1] for step in steps if step[0] == "enable_controllers"][-2:] == [BOX, f"{BOX}/a"]


def test_owner() -> None:
    """It is the container's user's, whatever his mounts are."""
    assert ("delegate", 101000, 101000, f"{BOX}/payload") in hosts(compiled("payload", v2(), GOLDEN / "delegated.json"))


@pytest.mark.parametrize("name", ["..", "a/../..", "a//b", "/", "a\nb"])
def test_bad_name(name: str) -> None:
    """It stays below the container's own."""
    with pytest.raises(Invalid, match="no name of a cgroup"):
        compiled(name, v2())


def test_version_1() -> None:
    """On cgroup v1 it is refused."""
    with pytest.raises(Failure, match="version 2"):
        compiled("payload", v1())
