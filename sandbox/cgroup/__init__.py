"""Compiles cgroupsPath and resources to what has to be made and written on the host: cgroup v1, v2 and both at once.

Each controller is served where it is: on hybrid hosts most are on v1 and some may be on v2. Pure: must not look at the
system (layout.py did) nor write to it (steps.py does). On the hot path: a document without limits loads this module
and `devices`.
"""

from __future__ import annotations

from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout
    from pyrunc.specs.runtime import Resources

    Step = tuple[str, str, tuple[Any, ...], str]  # host operation, pointer, values, tolerance

PATH = "linux.cgroupsPath"
SECTIONS = ("memory", "cpu", "pids", "block_io", "hugepage_limits", "network", "rdma", "unified")


class CgroupPlan:
    """What compile_cgroup worked out.

    `steps` are host operations in their order: make_cgroup, enable_controllers, inherit_cpuset, write, write_either.
    `folders` are the container's own, one for each hierarchy, to be recorded and removed; parents stay, as in runc.
    `enter` are folders whose cgroup.procs init has to be written to, `into` is the one that it is cloned into, or None.
    `freezer` is ("v1" or "v2", file) or None. `unit` is ("system" or "user", name of the systemd unit) or None; `late`
    are steps that come once init is there. `delegated` is (the container's cgroup, one below it that init goes to at
    last) or None.
    """

    __slots__ = (
        "delegated", "device_program", "enter", "folders", "freezer", "into", "late", "steps", "unit", "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.folders: list[str] = []
        self.enter: list[str] = []
        self.into: str | None = None
        self.device_program: bytes | None = None
        self.freezer: tuple[str, str] | None = None
        self.warnings: list[str] = []
        self.late: list[Step] = []
        self.unit: tuple[str, str] | None = None
        self.delegated: tuple[str, str] | None = None


def compile_cgroup(
    resources: Resources | None, cgroups_path: str, layout: Layout, container_id: str, *, rootless: bool = False,
    devices: bool = True,
) -> CgroupPlan:
    """The cgroup of a container. Raises Failure for a limit that this host cannot enforce, naming it.

    A rootless caller who may not make cgroups goes on without one, as long as the document asks for none. Without
    `devices` no device rules are compiled: who may not load their programs cannot make device nodes either.
    """
    plan = CgroupPlan()
    limits = resources is not None and has_limits(resources)
    path = clean_path(cgroups_path)
    if rootless and not layout.writable and not path.startswith("/"):
        if path or limits:
            raise Failure(
                "make a cgroup", PATH if path else "linux.resources",
                detail="rootless needs no limits + no cgrouppath when no permission is granted for cgroups",
                hint="run in a systemd session with delegation, or remove linux.resources and linux.cgroupsPath",
            )  # fmt: skip
        return plan
    where = folders(plan, layout, path or container_id)
    if layout.unified is not None:
        plan.into = where[""]
        enable(plan, layout, resources, where[""], limits)
    if "cpuset" in where:
        inherit_cpuset(plan, resources, where["cpuset"])
    if devices:
        device_rules(plan, resources, where)
    if limits and resources is not None:
        write_limits(plan, layout, resources, where)
    plan.freezer = freezer(layout, where)
    return plan


def without_cgroup(resources: Resources | None) -> CgroupPlan:
    """No cgroup at all, as a caller may ask for who manages them himself; then nobody keeps limits. Device rules are
    passed over: engines write them into every document."""
    if resources is not None and has_limits(resources):
        raise Failure(
            "apply linux.resources", "linux.resources", detail="there is no cgroup to keep limits",
            hint="remove them, or choose another --cgroup-manager",
        )  # fmt: skip
    return CgroupPlan()


def has_limits(resources: Resources) -> bool:
    """Anything but device rules."""
    return any(getattr(resources, section) for section in SECTIONS)


def clean_path(path: str) -> str:
    """cgroupsPath without `.`, `..` and doubled slashes, never above its start; "" when absent. Without systemd
    `slice:prefix:name` is a folder of that name, as with runc."""
    if not path:
        return ""
    if "\n" in path or "\0" in path:
        raise Invalid("a cgroup path has no newline and no NUL", PATH)
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if kept:
                kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    if not kept:
        raise Invalid(f"cgroup path {path!r} names no cgroup below the root", PATH)
    return ("/" if path.startswith("/") else "") + "/".join(kept)


def folders(plan: CgroupPlan, layout: Layout, path: str) -> dict[str, str]:
    """Makes the container's folder in every hierarchy; returns controller -> folder, "" for the cgroup2 one."""
    where = {}
    hierarchies: list[Hierarchy] = [*layout.hierarchies]
    if layout.unified is not None:
        hierarchies.append(layout.unified)
    for hierarchy in hierarchies:
        base = hierarchy.mount if path.startswith("/") else layout.base(hierarchy)
        *parents, folder = chain(base, path)
        for parent in parents:
            plan.steps.append(("make_cgroup", PATH, (parent,), "exists_ok"))
        plan.steps.append(("make_cgroup", PATH, (folder,), ""))
        plan.folders.append(folder)
        if hierarchy is layout.unified:
            where[""] = folder
        else:
            plan.enter.append(folder)
            for controller in hierarchy.controllers:
                where[controller] = folder
    return where


def chain(base: str, path: str) -> list[str]:
    """The folders from below `base` to the container's, outermost first."""
    made = []
    for part in path.strip("/").split("/"):
        base = f"{base}/{part}"
        made.append(base)
    return made


def enable(plan: CgroupPlan, layout: Layout, resources: Resources | None, folder: str, limits: bool) -> None:
    """Hands controllers down from the mount point to the folder's parent: all of them on v2, as runc does, so that
    statistics are there; on hybrid hosts only those that limits need, for the host did not count on them."""
    unified = layout.unified
    assert unified is not None
    wanted = unified.controllers
    if layout.hierarchies:
        wanted = needed(resources, unified.controllers) if limits and resources is not None else ()
    level = unified.mount
    parts = folder[len(level) + 1 :].split("/")
    for part in parts:
        if wanted and (level != unified.mount or not set(wanted) <= set(unified.enabled)):
            plan.steps.append(("enable_controllers", PATH, (level, " ".join(wanted)), ""))
        level = f"{level}/{part}"


def needed(resources: Resources, available: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the available v2 controllers that the limits ask for."""
    from pyrunc.sandbox.cgroup.limits_v2 import CONTROLLERS, io_weights

    known = [name for name in available if name in CONTROLLERS]
    return tuple([n for n in known if CONTROLLERS[n](resources) or (n == "io" and io_weights(resources))])


def inherit_cpuset(plan: CgroupPlan, resources: Resources | None, folder: str) -> None:
    """cgroup v1: a new cpuset has no CPUs and no memory nodes, and nobody may enter it before it has. Each new folder
    takes its parent's, outermost first, but for those that the document sets."""
    cpu = resources.cpu if resources is not None else None
    made = [values[0] for name, _, values, _ in plan.steps if name == "make_cgroup"]
    for level in [level for level in made if level == folder or folder.startswith(level + "/")]:
        for file, given in (("cpuset.cpus", cpu and cpu.cpus), ("cpuset.mems", cpu and cpu.mems)):
            if level != folder or not given:
                plan.steps.append(("inherit_cpuset", PATH, (level, file), ""))


def device_rules(plan: CgroupPlan, resources: Resources | None, where: dict[str, str]) -> None:
    """Who may use which devices: cgroup v1 where that controller is, else a program for the cgroup2 folder."""
    from pyrunc.sandbox.cgroup.devices import allows_all, program, rules, writes

    base, found = rules(resources.devices if resources is not None else ())
    if allows_all(base, found):
        return
    if "devices" in where:
        for file, value, pointer in writes(base, found):
            plan.steps.append(("write", pointer, (f"{where['devices']}/{file}", value), ""))
    elif plan.into is not None:
        plan.device_program = program(base, found)
    else:
        raise Failure(
            "restrict devices", "linux.resources.devices", detail="no cgroup hierarchy is mounted that could do it",
            hint="mount cgroup2 on /sys/fs/cgroup",
        )  # fmt: skip


def write_limits(plan: CgroupPlan, layout: Layout, resources: Resources, where: dict[str, str]) -> None:
    """Every limit that the document sets, each where its controller is."""
    from pyrunc.sandbox.cgroup import limits_v1, limits_v2

    available = layout.unified.controllers if layout.unified is not None else ()
    for controller in {**limits_v1.CONTROLLERS, **limits_v2.CONTROLLERS}:
        on_v1 = controller in where
        table = limits_v1.CONTROLLERS if on_v1 or controller not in limits_v2.CONTROLLERS else limits_v2.CONTROLLERS
        if controller == "blkio" and "io" in available:
            continue
        if controller == "io" and "io" not in available:
            continue
        found = table[controller](resources)
        either = []
        if controller in ("blkio", "io"):
            either = limits_v1.blkio_weights(resources) if on_v1 else limits_v2.io_weights(resources)
        if not on_v1:
            plan.warnings += limits_v2.ignored(resources, controller)
        if (not found and not either) or (controller in ("net_cls", "net_prio") and layout.mode == "v2"):
            continue
        if not on_v1 and controller not in available:
            raise unavailable(controller, found[0][2] if found else either[0][4], layout)
        folder = where[controller if on_v1 else ""]
        for first, value, other, other_value, pointer in either:
            plan.steps.append(
                ("write_either", pointer, (f"{folder}/{first}", value, f"{folder}/{other}", other_value), "")
            )
        for file, value, pointer, tolerance in found:
            plan.steps.append(("write", pointer, (f"{folder}/{file}", value), tolerance))
    memory = resources.memory
    if memory is not None and (memory.kernel is not None or memory.kernel_tcp is not None):
        plan.warnings.append("kernel memory limits are ignored: the kernel has none any more")
    write_unified(plan, layout, resources, where)


def write_unified(plan: CgroupPlan, layout: Layout, resources: Resources, where: dict[str, str]) -> None:
    """linux.resources.unified, last because it wins over the same limit given by its own name."""
    if not resources.unified:
        return
    from pyrunc.sandbox.cgroup.limits_v2 import unified

    if layout.unified is None or layout.hierarchies:
        raise Failure(
            "apply linux.resources.unified", "linux.resources.unified",
            detail="invalid configuration: cannot use unified on cgroup v1",
            hint="give the limit by its own name (memory, cpu, pids ...)",
        )  # fmt: skip
    for file, line, pointer, tolerance in unified(resources):
        controller = file.partition(".")[0]
        if controller != "cgroup" and controller in KNOWN and controller not in layout.unified.controllers:
            raise unavailable(controller, pointer, layout)
        plan.steps.append(("write", pointer, (f"{where['']}/{file}", line), tolerance))


KNOWN = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc", "dmem")


def unavailable(controller: str, pointer: str, layout: Layout) -> Failure:
    if layout.unified is None:
        detail, hint = f"the {controller} controller is not mounted", f"mount it, or remove {pointer}"
    elif layout.hierarchies:
        detail = f"the {controller} controller is neither mounted as cgroup v1 nor available in cgroup v2"
        hint = f"mount it, or remove {pointer}"
    elif controller in KNOWN:
        detail = f"the {controller} controller is not available in {layout.unified.mount}"
        hint = "it is bound to cgroup v1, off in the kernel, or not delegated to this place"
    else:
        detail, hint = f"cgroup v2 has no {controller} controller", f"remove {pointer}"
    return Failure(f"apply {pointer}", pointer, detail=detail, hint=hint)


def freezer(layout: Layout, where: dict[str, str]) -> tuple[str, str] | None:
    if "freezer" in where:
        return "v1", f"{where['freezer']}/freezer.state"
    if layout.unified is not None:
        return "v2", f"{where['']}/cgroup.freeze"
    return None
