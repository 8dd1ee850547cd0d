"""linux.intelRdt as host operations. Pure; loaded for a document that asks for it. What a group is stands in
`sandbox/resctrl.py`."""

from __future__ import annotations

from pyrunc.sandbox.plan import host
from pyrunc.sandbox.resctrl import POINTER, groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Plan
    from pyrunc.sandbox.resctrl import Groups
    from pyrunc.specs.sections import IntelRdt


def share_caches(plan: Plan, rdt: IntelRdt, facts: Facts, id: str) -> None:
    """The groups before the launch, so that nothing has to be ended when they cannot be made; init moves in as soon as
    it is there, long before it may execute anything."""
    where = groups(rdt, id, facts.resctrl)
    made = [host("make_resctrl", POINTER, where.path, where.rule, where.schemata)]
    if where.monitor:
        made.append(host("make_resctrl", f"{POINTER}.enableMonitoring", where.monitor, "own", ""))
    launch = next(index for index, item in enumerate(plan.host) if item.name == "launch")
    plan.host[launch:launch] = made
    enter_groups(plan, where)
    plan.resctrl = where.removable


def enter_groups(plan: Plan, where: Groups) -> None:
    """Moves the process of the plan: into the group before the monitoring group, which takes only those of the
    first."""
    launch = next(index for index, item in enumerate(plan.host) if item.name == "launch")
    plan.host.insert(launch + 1, host("enter_resctrl", POINTER, where.entered))
