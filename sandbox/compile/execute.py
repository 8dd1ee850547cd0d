"""Compiles `exec`: one more process in a container that is there. Joining is not making: nothing here is shared with
create but the process itself (process.py).
"""

from __future__ import annotations

from pyrunc.sandbox.compile.process import (
    all_cpus,
    descriptors,
    execute,
    hand_on_console,
    has_listener,
    lockdown,
    process_settings,
    raise_limits,
    seal,
    session_keyring,
)  # fmt: skip
from pyrunc.sandbox.plan import Plan, host, op, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.facts import Facts
    from pyrunc.specs.runtime import Linux, Process

NEWCGROUP, NEWUSER = 0x02000000, 0x10000000


class Target:
    """The container to join, as it is now.

    `flags`: CLONE_NEW* of the namespaces that are not the caller's. `into`: its cgroup v2 folder or ""; `enter`: its v1
    folders. `keyring`: name of its session keyring or "". `unit`: (manager, unit, cgroup below it) where
    only systemd may move a process into the container's cgroup.
    """

    __slots__ = ("enter", "flags", "into", "keyring", "pid", "set_groups", "unit")

    def __init__(
        self,
        pid: int,
        flags: int,
        into: str = "",
        enter: tuple[str, ...] = (),
        keyring: str = "",
        set_groups: bool = True,
        unit: tuple[str, str, str] | None = None,
    ) -> None:
        self.pid = pid
        self.flags = flags
        self.into = into
        self.enter = enter
        self.keyring = keyring
        self.set_groups = set_groups
        self.unit = unit


def compile_execute(
    process: Process, linux: Linux, target: Target, facts: Facts, seccomp: tuple[int, bytes] | None, kept_fds: int
) -> Plan:
    """The plan that runs `process` in the container of `target`, which was made by `linux`."""
    plan = Plan()
    # Before anything of the container is in reach: its processes must not be able to trace us (CVE-2016-9962).
    plan.init.append(op("undumpable", ""))
    raise_limits(plan, process)
    join(plan, target, process)
    plan.init.append(op("new_session", "", phase="identity"))
    if target.keyring:
        session_keyring(plan, process, target.keyring)
    console(plan, process)
    process_settings(plan, process, linux, facts)
    lockdown(plan, process, facts, seccomp, int(target.set_groups))
    hand_on_console(plan, "console" if process.terminal else "")
    early = has_listener(seccomp)
    if early:
        descriptors(plan, kept_fds)
        seal(plan, process, facts, seccomp, "start")
    # Killed before this answer, we leave no process behind that nobody waits for.
    plan.init.append(sync("ready", "", "start"))
    plan.host += [host("await", "", 5), host("answer", "", 5)]
    if not early:
        descriptors(plan, kept_fds)
        seal(plan, process, facts, seccomp)
    execute(plan, process)
    return plan


def join(plan: Plan, target: Target, process: Process) -> None:
    """All namespaces at once by the pidfd of the container's init: the kernel then takes the user namespace's rights
    for the others, and no path can be changed in between."""
    plan.host.append(host("open_process", "", "init", target.pid))
    if target.unit is not None:
        plan.host.append(host("enter_unit", "linux.cgroupsPath", *target.unit))
    if target.into:
        plan.host.append(host("open_cgroup", "linux.cgroupsPath", "cgroup", target.into))
    # The cgroup namespace only from inside the cgroup: a delegated hierarchy lets nobody in from outside its view.
    late = target.flags & NEWCGROUP if target.into else 0
    if target.flags & ~late:
        plan.init.append(op("join", "linux.namespaces", "init", target.flags & ~late, phase="join"))
    cpus = process.exec_cpu_affinity
    if cpus and cpus.initial:
        from pyrunc.sandbox.compile.scheduling import affinity

        plan.init.append(affinity(f"{cpus.pointer}.initial", cpus.initial, "join"))
    plan.init.append(op("spawn", "linux.namespaces", 0, "cgroup" if target.into else ""))
    plan.host.append(host("launch", ""))
    if late:
        plan.init.append(op("join", "linux.namespaces", "init", late, phase="identity"))
    if target.flags & NEWUSER:
        plan.init.append(op("become_root", "linux.uidMappings"))
    if target.enter:
        plan.host.append(host("enter_cgroups", "linux.cgroupsPath", target.enter))
        plan.init.append(sync("cgroup", "linux.cgroupsPath", "identity"))
        plan.host += [host("await", "linux.cgroupsPath", 1), host("answer", "linux.cgroupsPath", 1)]
    if cpus and cpus.final:
        from pyrunc.sandbox.compile.scheduling import affinity

        plan.init.append(affinity(f"{cpus.pointer}.final", cpus.final, "identity"))
    elif not (cpus and cpus.initial):
        all_cpus(plan)


def console(plan: Plan, process: Process) -> None:
    """A terminal of the container's own devpts; /dev/console stays that of the container's init."""
    if not process.terminal:
        return
    size = process.console_size
    rows, columns = (size.height, size.width) if size else (0, 0)
    user = process.user
    plan.init.append(op("open_console", "process.terminal", "console", rows, columns, user.uid, -1, 0))
    plan.init.append(op("use_console", "process.terminal"))
