"""The rules about what `sections` holds; see `rules`, which loads this module with a document that has such a section.

Rules look at the document alone, and never at the machine.
"""

from __future__ import annotations

from pyrunc.specs.errors import Invalid
from pyrunc.specs.lists import members
from pyrunc.specs.rules import env

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrunc.specs.runtime import Hook, Process, Spec

# In the order of their numbers, and of the bits that flags are.
SCHEDULER_POLICIES = (
    "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE",
)  # fmt: skip
SCHEDULER_FLAGS = (
    "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX",
)  # fmt: skip
IO_CLASSES = ("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE")  # from 1 on
MEMORY_MODES = (
    "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
)  # fmt: skip
MEMORY_FLAGS = {"MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15}
# What the kernel keeps apart for each IPC namespace; a dot stands for either separator.
IPC_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced",
)  # fmt: skip

# -- the process ---------------------------------------------------------------------------------------------------


def console_size(process: Process) -> Iterator[Invalid]:
    size = process.console_size
    if size is not None and process.terminal and max(size.height, size.width) > 0xFFFF:
        yield Invalid("a console has at most 65535 lines and columns", size.pointer, clause="config.md#process")


def scheduler(process: Process) -> Iterator[Invalid]:
    clause = "config.md#linux-process"
    wanted = process.scheduler
    if wanted is None:
        return
    policy = wanted.policy
    if not policy:
        yield Invalid("scheduler policy is required", f"{wanted.pointer}.policy", clause=clause)
    elif policy not in SCHEDULER_POLICIES:
        yield Invalid(f'unknown scheduler policy "{policy}"', f"{wanted.pointer}.policy", clause=clause)
    for index, flag in enumerate(wanted.flags):
        if flag not in SCHEDULER_FLAGS:
            yield Invalid(f'unknown scheduler flag "{flag}"', f"{wanted.pointer}.flags[{index}]", clause=clause)
    if policy in ("SCHED_OTHER", "SCHED_BATCH") and not -20 <= wanted.nice <= 19:
        message = f"invalid scheduler.nice: {wanted.nice} when scheduler.policy is {policy}"
        yield Invalid(message, f"{wanted.pointer}.nice", clause=clause)
    if wanted.priority and policy not in ("SCHED_FIFO", "SCHED_RR"):
        message = "scheduler.priority can only be specified for SchedFIFO or SchedRR policy"
        yield Invalid(message, f"{wanted.pointer}.priority", clause=clause)
    if (wanted.runtime or wanted.deadline or wanted.period) and policy != "SCHED_DEADLINE":
        message = "scheduler runtime/deadline/period can only be specified for SchedDeadline policy"
        yield Invalid(message, wanted.pointer, clause=clause)


def io_priority(process: Process) -> Iterator[Invalid]:
    clause = "config.md#linux-process"
    wanted = process.io_priority
    if wanted is not None and wanted.class_ not in IO_CLASSES:
        yield Invalid(f'invalid ioPriority.Class: "{wanted.class_}"', f"{wanted.pointer}.class", clause=clause)
    if wanted is not None and not 0 <= wanted.priority <= 7:
        yield Invalid(f"invalid ioPriority.Priority: {wanted.priority}", f"{wanted.pointer}.priority", clause=clause)


def exec_cpu_affinity(process: Process) -> Iterator[Invalid]:
    affinity = process.exec_cpu_affinity
    if affinity is not None:
        for name, value in (("initial", affinity.initial), ("final", affinity.final)):
            if value:
                try:
                    members(value)
                except ValueError as error:
                    message = f"bad CPUAffinity.{name.capitalize()}: {error}"
                    yield Invalid(message, f"{affinity.pointer}.{name}", clause="config.md#linux-process")


PROCESS_RULES = (console_size, scheduler, io_priority, exec_cpu_affinity)

# -- the document --------------------------------------------------------------------------------------------------


def hooks(spec: Spec) -> Iterator[Invalid]:
    found = spec.hooks
    if found is not None:
        for kind in (
            found.prestart, found.create_runtime, found.create_container, found.start_container, found.poststart,
            found.poststop,
        ):  # fmt: skip
            for hook in kind:
                yield from one_hook(hook)


def one_hook(hook: Hook) -> Iterator[Invalid]:
    clause = "config.md#posix-platform-hooks"
    if hook.path[:1] != "/":
        yield Invalid("the path of a hook must be absolute", f"{hook.pointer}.path", clause=clause)
    if hook.timeout is not None and hook.timeout <= 0:
        yield Invalid("the timeout of a hook must be greater than zero", f"{hook.pointer}.timeout", clause=clause)
    yield from env(hook.env, f"{hook.pointer}.env", clause)


def time_offsets(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#offset-for-time-namespace"
    if not spec.linux.time_offsets:
        return
    time = [namespace for namespace in spec.linux.namespaces if namespace.type == "time"]
    if not time:
        message = "time namespace offsets specified, but time namespace isn't enabled in the config"
        yield Invalid(message, "linux.timeOffsets", clause=clause)
    elif time[0].path:
        message = (
            "time namespace enabled, but both namespace path and time offsets specified"
            " -- you may only provide one"
        )  # fmt: skip
        yield Invalid(message, "linux.timeOffsets", clause=clause)
    for clock, offset in spec.linux.time_offsets.items():
        if clock not in ("monotonic", "boottime"):
            yield Invalid(
                f'the clock "{clock}" has no offset, only monotonic and boottime', offset.pointer, clause=clause
            )
        if offset.nanosecs > 999_999_999:
            yield Invalid("a second has 999999999 nanoseconds at most", f"{offset.pointer}.nanosecs", clause=clause)


def devices(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#devices"
    seen: dict[str, tuple[str, int, int]] = {}
    for device in spec.linux.devices:
        if device.type not in ("b", "c", "u", "p"):
            yield Invalid(f'invalid device type "{device.type}"', f"{device.pointer}.type", clause=clause)
        if device.path[:1] != "/":
            yield Invalid("the path of a device must be absolute", f"{device.pointer}.path", clause=clause)
        # Engines list one twice that is asked for twice; two devices cannot have one path.
        number = (device.type, device.major, device.minor)
        if seen.setdefault(device.path, number) != number:
            yield Invalid(f"{device.path} is listed twice, as different devices", device.pointer, clause=clause)
        if not 0 <= device.major < 1 << 12 or not 0 <= device.minor < 1 << 20:
            yield Invalid("Linux has no such device number", device.pointer, clause=clause)


def net_devices(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#network-devices"
    devices = spec.linux.net_devices
    if not devices:
        return
    if not any(namespace.type == "network" for namespace in spec.linux.namespaces):
        message = "unable to move network devices without a NET namespace"
        yield Invalid(message, "linux.netDevices", clause=clause)
    seen = set()
    for name, device in devices.items():
        for word in {name, device.name or name}:
            if not is_interface(word):
                yield Invalid(f'invalid network device name "{word}"', device.pointer, clause=clause)
        inside = device.name or name
        if inside in seen and "%d" not in inside:
            yield Invalid(f'two network devices would be named "{inside}"', device.pointer, clause=clause)
        seen.add(inside)


def is_interface(name: str) -> bool:
    """The kernel's dev_valid_name: 15 bytes, no space, no slash, no colon."""
    return 0 < len(name.encode()) < 16 and name not in (".", "..") and not any(c in "/:" or c.isspace() for c in name)


def sysctls(spec: Spec) -> Iterator[Invalid]:
    """Only what a namespace of the container keeps apart. Whether a joined one is the host's own is not known here."""
    clause = "config-linux.md#sysctl"
    own = {namespace.type for namespace in spec.linux.namespaces}
    for written, value in spec.linux.sysctl.items():
        pointer = f'linux.sysctl["{written}"]'
        key = with_dots(written)
        if "\0" in written or "\0" in value or ".." in key or "//" in key or key[-1:] in ("", ".", "/"):
            yield Invalid("this is not the name of a kernel parameter with its value", pointer, clause=clause)
        elif key in IPC_SYSCTLS or key.startswith("fs.mqueue."):
            if "ipc" not in own:
                yield Invalid(f'sysctl "{key}" is not allowed in the hosts ipc namespace', pointer, clause=clause)
        elif key.startswith("net."):
            if "network" not in own:
                yield Invalid(f'sysctl "{key}" not allowed in host network namespace', pointer, clause=clause)
        elif key == "kernel.hostname" and "uts" in own:
            message = f'sysctl "{key}" is not allowed as it conflicts with the OCI "hostname" field'
            yield Invalid(message, pointer, clause=clause)
        elif key.startswith("user."):
            if "user" not in own:
                message = f"setting ucounts without a user namespace not allowed: {key}"
                yield Invalid(message, pointer, clause=clause)
        elif key != "kernel.domainname" or "uts" not in own:
            yield Invalid(f'sysctl "{key}" is not in a separate kernel namespace', pointer, clause=clause)


def with_dots(key: str) -> str:
    """sysctl(8): the first separator decides what separates; `net/ipv4/conf/eno2.100/x` has a dot within a name."""
    slash, dot = key.find("/"), key.find(".")
    if slash >= 0 and (dot < 0 or slash < dot):
        return key.translate({ord("."): "/", ord("/"): "."})
    return key


def intel_rdt(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#intelrdt"
    rdt = spec.linux.intel_rdt
    if rdt is None:
        return
    if rdt.clos_id in (".", "..") or (len(rdt.clos_id) > 1 and "/" in rdt.clos_id):
        yield Invalid(f'invalid intelRdt.ClosID "{rdt.clos_id}"', f"{rdt.pointer}.closID", clause=clause)
    if rdt.mem_bw_schema and (rdt.mem_bw_schema[:3] != "MB:" or "\n" in rdt.mem_bw_schema):
        yield Invalid("memBwSchema is one line that starts with MB:", f"{rdt.pointer}.memBwSchema", clause=clause)
    for index, line in enumerate(rdt.schemata):
        if "\n" in line:
            yield Invalid("each element is one line", f"{rdt.pointer}.schemata[{index}]", clause=clause)


def memory_policy(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#memory-policy"
    policy = spec.linux.memory_policy
    if policy is None:
        return
    if policy.mode not in MEMORY_MODES:
        yield Invalid(f'invalid memory policy mode "{policy.mode}"', f"{policy.pointer}.mode", clause=clause)
    for index, flag in enumerate(policy.flags):
        if flag not in MEMORY_FLAGS:
            message = f'invalid memory policy flag "{flag}"'
            yield Invalid(message, f"{policy.pointer}.flags[{index}]", clause=clause)
    count = 0
    if policy.nodes:
        try:
            count = members(policy.nodes).bit_count()
        except ValueError as error:
            message = f'invalid memory policy nodes "{policy.nodes}": {error}'
            yield Invalid(message, f"{policy.pointer}.nodes", clause=clause)
            return
    if policy.mode in ("MPOL_DEFAULT", "MPOL_LOCAL"):
        if count:
            message = f"memory policy mode requires 0 nodes but got {count}"
            yield Invalid(message, f"{policy.pointer}.nodes", clause=clause)
    elif not count and policy.mode in MEMORY_MODES and policy.mode != "MPOL_PREFERRED":
        message = "memory policy mode requires at least one node but got 0"
        yield Invalid(message, f"{policy.pointer}.nodes", clause=clause)


def personality(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#personality"
    wanted = spec.linux.personality
    if wanted is not None and wanted.domain not in ("LINUX", "LINUX32"):
        yield Invalid(f"invalid personality domain {wanted.domain}", f"{wanted.pointer}.domain", clause=clause)


RULES = (hooks, time_offsets, devices, net_devices, sysctls, intel_rdt, memory_policy, personality)
