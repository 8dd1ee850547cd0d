"""Compiles a container's creation: `compile_create` is the table of contents, in the order in which things happen.

Pure; must not look at the system (facts.py did) nor at the bundle.
"""

from __future__ import annotations

from pyrunc.sandbox.cgroup import compile_cgroup
from pyrunc.sandbox.compile.filesystem import console, devices, protect, root
from pyrunc.sandbox.compile.mounts import mounts
from pyrunc.sandbox.compile.namespaces import CLONE_FLAGS, namespaces, set_groups
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
from pyrunc.sandbox.plan import RENDEZVOUS_NUMBER, Plan, host, op, sync
from pyrunc.specs.errors import Failure

# runc's words, which its own tests know.
UNBOUND = (
    "Creating a rootless container with no cgroup and no private pid namespace. Such configuration is strongly"
    " discouraged (as it is impossible to properly kill all container's processes)"
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.cgroup import CgroupPlan
    from pyrunc.sandbox.facts import Facts
    from pyrunc.specs.runtime import Spec


class Request:
    """What the caller asks for besides the document.

    `start` is "socket" (create: init waits on start.sock) or "inline" (run: the answer to `ready` is the start).
    `kept_fds` counts the caller's file descriptors from 3 on that the container gets; `seccomp` is (flags, filter) or
    None. `rootless` says whether to go on without a cgroup that may not be made: "true", "false", or "auto" for whoever
    is not root. `cgroup_manager` is cgroupfs, systemd or disabled.
    """

    __slots__ = (
        "bundle", "cgroup_manager", "id", "kept_fds", "new_keyring", "no_pivot", "rootfs", "rootless", "seccomp",
        "start",
    )  # fmt: skip

    def __init__(
        self,
        id: str,
        bundle: str,
        rootfs: str,
        start: str = "socket",
        no_pivot: bool = False,
        new_keyring: bool = True,
        kept_fds: int = 0,
        seccomp: tuple[int, bytes] | None = None,
        cgroup_manager: str = "cgroupfs",
        rootless: str = "auto",
    ) -> None:
        self.id = id
        self.bundle = bundle
        self.rootfs = rootfs
        self.start = start
        self.no_pivot = no_pivot
        self.new_keyring = new_keyring
        self.kept_fds = kept_fds
        self.seccomp = seccomp
        self.cgroup_manager = cgroup_manager
        self.rootless = rootless


def compile_create(spec: Spec, facts: Facts, request: Request) -> Plan:
    """The plan that makes the container of `spec` and runs its process.

    Raises Failure for what this host or this release cannot give, Invalid for values that make no sense together.
    """
    process = spec.process
    assert process is not None  # rules.check has seen to it
    refuse_unsupported(spec)
    plan = Plan()
    plan.host.append(host("record", ""))
    entered = cgroup(plan, spec, facts, request)
    if facts.euid == 0:
        # Who shares the pid namespace, or comes in by `exec` before the start, must not reach what init has open: the
        # private procfs knows no masks (CVE-2016-9962). Not for others: they could not write init's id maps any more.
        plan.init.append(op("undumpable", ""))
    raise_limits(plan, process)
    flags = namespaces(plan, spec, facts, "cgroup" if entered.into else "", entered.enter)
    plan.host += [host(name, at, *values, tolerate=tolerance) for name, at, values, tolerance in entered.late]
    if spec.linux.intel_rdt is not None:
        from pyrunc.sandbox.compile.resctrl import share_caches

        share_caches(plan, spec.linux.intel_rdt, facts, request.id)
    isolate(plan, spec, facts, request, flags)
    root(plan, spec, request.rootfs, flags)
    if spec.mounts and spec.mounts[0].destination == "/":
        from pyrunc.sandbox.compile.stacked_root import stack_root

        stack_root(plan, spec, request.bundle, flags)
    deferred = mounts(plan, spec, facts, request.rootfs, flags)
    devices(plan, spec, facts, request)
    if spec.hooks is not None:
        from pyrunc.sandbox.compile.hooks import create_hooks

        create_hooks(plan, spec, request)
    deferred_console = console(plan, process, request, flags)
    protect(plan, spec, deferred, flags)
    process_settings(plan, process, spec.linux, facts)
    lockdown(plan, process, facts, request.seccomp, set_groups(spec, facts))
    hand_on_console(plan, deferred_console)
    if has_listener(request.seccomp):
        # The agent hears of the container while it is being created, so its filter is in force before the start.
        descriptors(plan, request.kept_fds)
        if facts.euid != 0:
            # Only root may fetch the listener of a process that a change of ids has made undumpable (ptrace(2)).
            plan.init.append(op("dumpable", "linux.seccomp"))
        seal(plan, process, facts, request.seccomp, "start")
        start(plan, request)
    else:
        start(plan, request)
        descriptors(plan, request.kept_fds)
        seal(plan, process, facts, request.seccomp)
    if spec.hooks is not None:
        from pyrunc.sandbox.compile.hooks import start_hooks

        start_hooks(plan, spec, request)  # under the filter: they are the container's
    execute(plan, process)
    if entered.delegated:
        from pyrunc.sandbox.compile.delegated import enter_delegated

        enter_delegated(plan, facts, *entered.delegated)
    return plan


def cgroup(plan: Plan, spec: Spec, facts: Facts, request: Request) -> CgroupPlan:
    """The cgroup with its limits, all before there is a process, so that no process ever runs without them."""
    linux = spec.linux
    if request.cgroup_manager == "systemd":
        from pyrunc.sandbox.systemd.compile import compile_unit

        made = compile_unit(linux.resources, linux.cgroups_path, spec.annotations, facts, request.id)
    elif request.cgroup_manager == "disabled":
        from pyrunc.sandbox.cgroup import without_cgroup

        made = without_cgroup(linux.resources)
    else:
        made = compile_cgroup(
            linux.resources, linux.cgroups_path, facts.layout, request.id,
            rootless=facts.rootless if request.rootless == "auto" else request.rootless == "true",
            devices=not facts.rootless,
        )  # fmt: skip
    for name, pointer, values, tolerance in made.steps:
        plan.host.append(host(name, pointer, *values, tolerate=tolerance))
    if facts.layout.mode == "v2" and facts.euid == 0 and made.folders:
        delegate(plan, spec, made.into or made.folders[0])
    if spec.annotations.get("run.oci.delegate-cgroup"):
        from pyrunc.sandbox.compile.delegated import delegated_cgroup

        made.delegated = str(made.into), delegated_cgroup(plan, spec, facts, made.into)
    if made.into or made.device_program is not None:
        plan.host.append(host("open_cgroup", "linux.cgroupsPath", "cgroup", made.into or made.folders[-1]))
    if made.into and any(item.type == "cgroup" and item.path for item in linux.namespaces):
        # Nobody can be cloned into a cgroup that his cgroup namespace does not show; the host moves him.
        made.enter.append(made.into)
        made.into = None
    if made.device_program is not None:
        plan.init.append(op("attach_devices", "linux.resources.devices", "cgroup", made.device_program))
    plan.warnings += made.warnings
    if facts.rootless and not made.folders and not any(n.type == "pid" and not n.path for n in linux.namespaces):
        plan.warnings.append(UNBOUND)
    plan.folders = made.folders
    plan.freezer = made.freezer
    plan.unit = made.unit
    return made


def delegate(plan: Plan, spec: Spec, folder: str) -> None:
    """Gives the cgroup to the process's user when the document means its container to manage cgroups: with a cgroup
    namespace of its own and a cgroup mount that may be written, and never otherwise."""
    if not any(item.type == "cgroup" and not item.path for item in spec.linux.namespaces):
        return
    from pyrunc.sandbox.compile.cgroup_mount import manager

    uid, gid = manager(spec)
    if uid:
        plan.host.append(host("delegate", "linux.namespaces", uid, gid, folder))


def isolate(plan: Plan, spec: Spec, facts: Facts, request: Request, flags: int) -> None:
    """What belongs to the new namespaces and needs no file system."""
    init = plan.init
    all_cpus(plan)
    # A session of its own before anything else: no signal of the caller's terminal may reach a half-made container.
    init.append(op("new_session", "", phase="identity"))
    if request.new_keyring:
        assert spec.process is not None
        session_keyring(plan, spec.process, f"_ses.{request.id}")
    if flags & CLONE_FLAGS["network"]:
        init.append(op("loopback_up", "linux.namespaces"))
    if spec.linux.net_devices:
        network_devices(plan, spec, facts)
    if spec.hostname:
        init.append(op("hostname", "hostname", spec.hostname))
    if spec.domainname:
        init.append(op("domainname", "domainname", spec.domainname))


def network_devices(plan: Plan, spec: Spec, facts: Facts) -> None:
    """Devices of the host that are moved into the container, before its hooks and mounts (config-linux.md)."""
    if facts.rootless:
        raise Failure(
            "move network devices", "linux.netDevices", detail="unable to move network devices in a rootless container",
            hint="an engine's network helper can join the container's network namespace instead",
        )  # fmt: skip
    number = RENDEZVOUS_NUMBER["network"]
    plan.init.append(sync("network", "linux.netDevices", "isolate"))
    plan.host.append(host("await", "linux.netDevices", number))
    for source, device in spec.linux.net_devices.items():
        plan.host.append(host("network", f'linux.netDevices["{source}"]', source, device.name or source))
    plan.host.append(host("answer", "linux.netDevices", number))


def start(plan: Plan, request: Request) -> None:
    """The last rendezvous: nothing after it but what only `start` may do."""
    plan.init.append(sync("ready", "", "start"))
    plan.host.append(host("await", "", 5))
    plan.host.append(host("answer", "", 5))
    if request.start == "socket":
        # Listening must begin before the launcher starts: its slot is filled by the host.
        launch = next(index for index, item in enumerate(plan.host) if item.name == "launch")
        plan.host.insert(launch, host("listen", "", "listener"))
        plan.init.append(op("wait_start", "", "listener"))


def refuse_unsupported(spec: Spec) -> None:
    """What the document may ask for and this release cannot do: an error that names it, never a silent skip."""
    handler = spec.annotations.get("run.oci.handler")
    if handler:
        raise Failure(
            f"run {handler}", 'annotations["run.oci.handler"]', detail="this release has no such handler",
            hint="processes of Linux alone are run: remove the annotation",
        )  # fmt: skip
