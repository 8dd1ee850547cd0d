"""Documents as units."""

from __future__ import annotations

from typing import Any

import pytest

from pyrunc.sandbox.cgroup import CgroupPlan
from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout, Unified
from pyrunc.sandbox.facts import Facts
from pyrunc.sandbox.systemd.compile import compile_unit
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.runtime import Resources

ALL = ("cpuset", "cpu", "io", "memory", "pids")
SCOPE = "/cg/machine.slice/test-box.scope"


def v2() -> Layout:
    return Layout((), Unified(ALL, "/cg", "/", enabled=ALL))


def compiled(
    resources: dict[str, Any] | None = None, path: str = "machine.slice:test:box",
    annotations: dict[str, str] | None = None, layout: Layout | None = None,
    manager: tuple[str, str] | None = ("system", ""), euid: int = 0,
) -> CgroupPlan:  # fmt: skip
    given = Resources(Node(resources)) if resources is not None else None
    facts = Facts(layout or v2(), euid=euid, manager=manager)
    return compile_unit(given, path, annotations or {}, facts, "box")


def asked(plan: CgroupPlan) -> dict[str, Any]:
    """The properties of the unit, by name."""
    name, _, values, _ = plan.steps[0]
    assert name == "start_unit"
    return {name: value for name, _, value in values[-1]}


def test_plain() -> None:
    """A scope in its slice, delegated, with everything counted; init is cloned into it."""
    plan = compiled()

    found = asked(plan)
    assert (found["Slice"], found["Delegate"], found["DefaultDependencies"]) == ("machine.slice", True, False)
    assert all(found[f"{name}Accounting"] for name in ("Memory", "CPU", "IO", "Tasks"))
    assert (plan.into, plan.folders, plan.enter, plan.late) == (SCOPE, [SCOPE], [], [])
    assert plan.unit == ("system", "test-box.scope")


def test_slice() -> None:
    """A slice takes no process at its start, and wants its parent."""
    plan = compiled(path="machine.slice:test:machine-box.slice")

    assert plan.steps[0][2][0] == 1
    assert asked(plan)["Wants"] == ["machine.slice"]
    assert "Delegate" not in asked(plan)
    assert plan.into == "/cg/machine.slice/machine-box.slice"


@pytest.mark.parametrize("limit", [0, 1])
def test_one_process(limit: int) -> None:
    """A limit of one process comes once init is there; none at all is one."""
    plan = compiled({"pids": {"limit": limit}})

    assert "TasksMax" not in asked(plan)
    assert [(name, values[-1]) for name, _, values, _ in plan.late] == [
        ("change_unit", (("TasksMax", "t", 1),)),
        ("write", "1"),
    ]


def test_unified_wins() -> None:
    """linux.resources.unified makes properties too, and goes before the limit by its own name."""
    unified = {"memory.max": "7", "memory.high": "6", "memory.oom.group": "1"}

    plan = compiled({"memory": {"limit": 5}, "unified": unified})

    assert (asked(plan)["MemoryMax"], asked(plan)["MemoryHigh"]) == (7, 6)
    assert ("write", (f"{SCOPE}/memory.oom.group", "1")) in [(name, values) for name, _, values, _ in plan.steps]


def test_idle() -> None:
    """An idle group has no weight; that is said."""
    plan = compiled({"cpu": {"shares": 100, "idle": 1}})

    assert asked(plan)["CPUWeight"] == 0
    assert not [values for _, _, values, _ in plan.steps if str(values[0]).endswith("cpu.weight")]
    assert plan.warnings == ["unable to apply both cpu.weight and cpu.idle to systemd, ignoring cpu.weight"]


def test_annotations_win() -> None:
    """Annotations come last, so that they hold."""
    plan = compiled({"memory": {"limit": 5}}, annotations={"org.systemd.property.MemoryMax": "uint64 9"})

    assert [item for item in plan.steps[0][2][-1] if item[0] == "MemoryMax"][-1] == ("MemoryMax", "t", 9)


def test_subgroup() -> None:
    """The container lives below its unit, which keeps the limits and hands controllers down once it is empty."""
    plan = compiled({"memory": {"limit": 5}}, annotations={"run.oci.systemd.subgroup": "inner"})

    assert plan.into == f"{SCOPE}/inner"
    assert plan.steps[-1][:3] == ("make_cgroup", "linux.cgroupsPath", (f"{SCOPE}/inner",))
    assert plan.late == [("enable_controllers", "linux.cgroupsPath", (SCOPE, " ".join(ALL)), "")]
    assert plan.folders == [SCOPE]


@pytest.mark.parametrize("name", ["a/b", "..", ".", "a\nb"])
def test_bad_subgroup(name: str) -> None:
    """A subgroup stays where it belongs."""
    with pytest.raises(Invalid):
        compiled(annotations={"run.oci.systemd.subgroup": name})


def test_document_before_machine() -> None:
    """What is wrong with the document is said even where no systemd runs."""
    with pytest.raises(Invalid, match="slice:prefix:name"):
        compiled(path="/a/box", manager=None)
    with pytest.raises(Invalid, match="too short"):
        compiled(annotations={"org.systemd.property.A": "1"}, manager=None)
    with pytest.raises(Failure, match="systemd not running"):
        compiled(manager=None)


def test_user() -> None:
    """A user's units are below his systemd, in user.slice, and devices are not his to restrict."""
    plan = compiled(path="", manager=("user", "/user.slice/me.service"), euid=1000)

    assert plan.into == "/cg/user.slice/me.service/user.slice/pyrunc-box.scope"
    assert plan.unit == ("user", "pyrunc-box.scope")
    assert "DevicePolicy" not in asked(plan)


def test_legacy() -> None:
    """cgroup v1: systemd's own hierarchy is left to it, in the others init is moved."""
    layout = Layout((Hierarchy(("memory",), "/cg/memory", "/"), Hierarchy(("devices",), "/cg/devices", "/"),
                     Hierarchy(("name=systemd",), "/cg/systemd", "/")), None)  # fmt: skip

    plan = compiled({"memory": {"limit": 5}}, layout=layout)

    assert plan.enter == ["/cg/memory/machine.slice/test-box.scope", "/cg/devices/machine.slice/test-box.scope"]
    assert (asked(plan)["MemoryLimit"], asked(plan)["BlockIOAccounting"]) == (5, True)
    assert {tolerance for name, _, _, tolerance in plan.steps if name == "make_cgroup"} == {"exists_ok"}


def test_user_on_legacy() -> None:
    """A user has nothing to say on cgroup v1."""
    layout = Layout((Hierarchy(("memory",), "/cg/memory", "/"),), None)

    with pytest.raises(Failure, match="cannot use rootless systemd cgroups manager on cgroup v1"):
        compiled(layout=layout, manager=("user", ""), euid=1000)


def test_no_systemd() -> None:
    """Where there is no systemd, that is said in runc's words."""
    with pytest.raises(Failure, match="systemd not running on this host, cannot use systemd cgroups manager"):
        compiled(manager=None)


def test_missing_controller() -> None:
    """A limit whose controller the user's systemd does not have is refused before anything is done."""
    layout = Layout((), Unified(("memory",), "/cg", "/", enabled=("memory",)))

    with pytest.raises(Failure, match="cpuset controller is not available"):
        compiled({"cpu": {"cpus": "0"}}, layout=layout, manager=("user", "/me"), euid=1000)
