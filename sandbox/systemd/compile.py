"""Compiles cgroupsPath and resources to a unit of systemd: the CgroupPlan of a container with --systemd-cgroup. Pure.

The unit comes first, with the launcher in it: init, its child, is in the unit before its first instruction. Then what
systemd does not do is done as without it, in the folders that are there now.
"""

from __future__ import annotations

from pyrunc.sandbox.cgroup import (
    CgroupPlan,
    device_rules,
    enable,
    folders,
    freezer,
    has_limits,
    inherit_cpuset,
    write_limits,
)
from pyrunc.sandbox.systemd.properties import IDLE_WARNING, devices, properties, rounded
from pyrunc.sandbox.systemd.unit import unit_of
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyrunc.sandbox.cgroup import Step
    from pyrunc.sandbox.cgroup.layout import Layout
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.systemd.properties import Property
    from pyrunc.sandbox.systemd.unit import Unit
    from pyrunc.specs.runtime import Resources

PATH = "linux.cgroupsPath"
SUBGROUP = "run.oci.systemd.subgroup"


def compile_unit(
    resources: Resources | None, cgroups_path: str, annotations: Mapping[str, str], facts: Facts, container_id: str
) -> CgroupPlan:
    """The unit of a container, with its limits. Raises Failure for a limit that this host cannot enforce."""
    layout = facts.layout
    # What is wrong with the document first: that can be said on any machine.
    of_user = facts.manager[0] == "user" if facts.manager is not None else facts.rootless
    unit = unit_of(cgroups_path, container_id, of_user)
    asked: list[Property] = []
    if annotations:
        from pyrunc.sandbox.systemd.gvariant import annotated

        asked = annotated(annotations)
    if facts.manager is None:
        raise Failure(
            "make the cgroup by systemd", PATH,
            detail="systemd not running on this host, cannot use systemd cgroups manager",
            hint="leave out --systemd-cgroup: pyrunc then makes the cgroup itself",
        )  # fmt: skip
    manager, control_group = facts.manager
    if manager == "user" and layout.hierarchies:
        raise Failure(
            "make the cgroup by systemd", PATH, detail="cannot use rootless systemd cgroups manager on cgroup v1"
        )
    plan = CgroupPlan()
    plan.unit = (manager, unit.name)
    where = folders(plan, layout, control_group + unit.path)
    # systemd makes them, but on cgroup v1 only for the controllers that it knows.
    plan.steps = [(*step[:3], "exists_ok") for step in plan.steps] if layout.hierarchies else []
    plan.enter = [folder for folder in plan.enter if folder != where.get("name=systemd")]
    limited = resources is not None and has_limits(resources)
    if layout.unified is not None:
        plan.into = where[""]
        enable(plan, layout, resources, where[""], limited)
    if "cpuset" in where:
        inherit_cpuset(plan, resources, where["cpuset"])
    if not facts.rootless:
        device_rules(plan, resources, where)
    if resources is not None and limited:
        if resources.pids is not None and resources.pids.limit == 0:
            resources.pids.limit = 1  # systemd knows no unit without a process
        write_limits(plan, layout, resources, where)
    plan.steps, late = fit(plan.steps, plan.warnings)
    wanted = base(unit, container_id, layout) + own_limits(plan, resources, facts) + asked
    plan.steps.insert(0, ("start_unit", PATH, (int(unit.is_slice), *plan.unit, tuple(plan.folders), tuple(wanted)), ""))
    plan.freezer = freezer(layout, where)
    if late:
        plan.late.append(("change_unit", late[0][1], (*plan.unit, tuple(properties(_named(late)))), ""))
        plan.late += late
    subgroup(plan, annotations, layout)
    return plan


def base(unit: Unit, container_id: str, layout: Layout) -> list[Property]:
    """What every container's unit is, limits or not."""
    found: list[Property] = [("Description", "s", f"container {container_id}")]
    if unit.is_slice:
        found.append(("Wants", "as", [unit.parent]))
    else:
        found += [("Slice", "s", unit.parent), ("Delegate", "b", True)]
    blocks = "BlockIOAccounting" if layout.hierarchies else "IOAccounting"
    found += [(name, "b", True) for name in ("MemoryAccounting", "CPUAccounting", blocks, "TasksAccounting")]
    found.append(("DefaultDependencies", "b", False))
    return found


def own_limits(plan: CgroupPlan, resources: Resources | None, facts: Facts) -> list[Property]:
    """The limits that systemd can express, taken from what would be written."""
    found: list[Property] = []
    if not facts.rootless:
        from pyrunc.sandbox.cgroup.devices import rules

        found = devices(*rules(resources.devices if resources is not None else ()), plan.device_program is not None)
    return found + properties(_named(plan.steps))


def fit(steps: list[Step], warnings: list[str]) -> tuple[list[Step], list[Step]]:
    """(steps whose writes say what systemd will, those that have to wait until init is there).

    While init is cloned there are two processes in the unit, so a limit of one has to wait. An idle group takes no
    weight, and systemd makes it idle before we write.
    """
    writes = _named(steps)
    idle = ("cpu.idle", "1") in writes
    period = dict(writes).get("cpu.cfs_period_us", "")
    kept: list[Step] = []
    late: list[Step] = []
    for name, pointer, values, tolerance in steps:
        if name == "write":
            file = _name(values[0])
            values = (values[0], rounded(file, str(values[1]), period))
            if file == "cpu.weight" and idle:
                warnings.append(IDLE_WARNING)
                continue
            if file == "pids.max" and values[1] == "1":
                late.append((name, pointer, values, tolerance))
                continue
        kept.append((name, pointer, values, tolerance))
    return kept, late


def subgroup(plan: CgroupPlan, annotations: Mapping[str, str], layout: Layout) -> None:
    """crun's annotation: the container lives in a cgroup below its unit's, which keeps the limits."""
    name = annotations.get(SUBGROUP, "")
    if not name or plan.into is None or layout.hierarchies:
        return
    if "/" in name or name in (".", "..") or "\n" in name or "\0" in name:
        raise Invalid(f"{name!r} is no name of a cgroup", f'annotations["{SUBGROUP}"]')
    unified = layout.unified
    assert unified is not None
    # Handed down once the launcher has left the unit itself: a cgroup with processes of its own cannot.
    plan.late.append(("enable_controllers", PATH, (plan.into, " ".join(unified.controllers)), ""))
    plan.into = f"{plan.into}/{name}"
    plan.steps.append(("make_cgroup", PATH, (plan.into,), "exists_ok"))


def _named(steps: list[Step]) -> list[tuple[str, str]]:
    """(file, value) of the writes among the steps."""
    found = []
    for name, _, values, _ in steps:
        if name == "write":
            found.append((_name(values[0]), str(values[1])))
        elif name == "write_either":
            found.append((_name(values[2]), str(values[3])))
    return found


def _name(path: object) -> str:
    return str(path).rpartition("/")[2]
