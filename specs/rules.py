"""What config.json must obey besides its types: a list of small rules, each yielding what breaks its clause.

Run on every start of a container, so rules about sections that most documents lack are in `section_rules`,
`seccomp_rules` and `resource_rules`, loaded only with such a section. A rule looks at the document alone: whether a
path exists or a kernel knows a thing is for `sandbox` to find out. Where runc has a text for a mistake it is used
verbatim, for engines and tests know it.
"""

from __future__ import annotations

from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrunc.specs.runtime import IDMapping, Linux, Mount, Process, Resources, Spec

NAMESPACES = ("cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts")
PROPAGATIONS = ("shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate", "runbindable")
RLIMITS = (
    "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
    "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
)  # fmt: skip
# In the order of their numbers: the index of a name is the kernel's number.
CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
)  # fmt: skip
MAX_MAPPINGS = 340  # lines that the kernel takes in a uid_map


def check(spec: Spec) -> None:
    """Raise the first problem, if there is one."""
    for problem in every_problem(spec):
        raise problem


def check_process(process: Process) -> None:
    """The same for a process document of its own, as `exec --process` takes it."""
    for problem in process_problems(process):
        raise problem


def check_update(resources: Resources) -> None:
    """The same for a resources document of its own; what it leaves out keeps the value it has."""
    for problem in resource_problems(resources, is_update=True):
        raise problem


def problems(spec: Spec) -> list[Invalid]:
    return list(every_problem(spec))


def every_problem(spec: Spec) -> Iterator[Invalid]:
    if spec.process is None:
        yield Invalid("process property must not be empty", "process", clause="config.md#process")
    else:
        yield from process_problems(spec.process)
    for rule in RULES:
        yield from rule(spec)
    if spec.linux.resources is not None:
        yield from resource_problems(spec.linux.resources)
    if spec.linux.seccomp is not None:
        from pyrunc.specs.seccomp_rules import seccomp_problems

        yield from seccomp_problems(spec.linux.seccomp)
    if has_other_section(spec):
        from pyrunc.specs.section_rules import RULES as SECTION_RULES

        for rule in SECTION_RULES:
            yield from rule(spec)


def has_other_section(spec: Spec) -> bool:
    linux = spec.linux
    return bool(
        spec.hooks or linux.sysctl or linux.devices or linux.net_devices or linux.time_offsets or linux.intel_rdt
        or linux.memory_policy or linux.personality
    )  # fmt: skip


def process_problems(process: Process) -> Iterator[Invalid]:
    for rule in PROCESS_RULES:
        yield from rule(process)
    if process.scheduler or process.io_priority or process.exec_cpu_affinity or process.console_size:
        from pyrunc.specs.section_rules import PROCESS_RULES as SECTION_RULES

        for rule in SECTION_RULES:
            yield from rule(process)


def resource_problems(resources: Resources, is_update: bool = False) -> Iterator[Invalid]:
    yield from device_rules(resources)
    if (
        resources.memory or resources.cpu or resources.block_io or resources.hugepage_limits
        or resources.network or resources.rdma or resources.unified
    ):  # fmt: skip
        from pyrunc.specs.resource_rules import RULES as RESOURCE_RULES
        from pyrunc.specs.resource_rules import swap_needs_limit

        for rule in RESOURCE_RULES:
            yield from rule(resources)
        if not is_update:
            yield from swap_needs_limit(resources)


# -- the process ---------------------------------------------------------------------------------------------------


def member(process: Process, name: str) -> str:
    """The place of a process's member, in config.json or in a document of its own."""
    return f"{process.pointer}.{name}" if process.pointer else name


def cwd(process: Process) -> Iterator[Invalid]:
    if not process.cwd:
        yield Invalid("Cwd property must not be empty", member(process, "cwd"), clause="config.md#process")
    elif process.cwd[0] != "/":
        yield Invalid("Cwd must be an absolute path", member(process, "cwd"), clause="config.md#process")


def args(process: Process) -> Iterator[Invalid]:
    if not process.args:
        yield Invalid("args must not be empty", member(process, "args"), clause="config.md#process")


def process_env(process: Process) -> Iterator[Invalid]:
    yield from env(process.env, member(process, "env"), "config.md#process")


def env(entries: tuple[str, ...], pointer: str, clause: str) -> Iterator[Invalid]:
    for index, entry in enumerate(entries):
        if entry[:1] == "=":
            yield Invalid("invalid environment variable: name cannot be empty", f"{pointer}[{index}]", clause=clause)
        elif "=" not in entry:
            yield Invalid("invalid environment variable: missing '='", f"{pointer}[{index}]", clause=clause)


def rlimits(process: Process) -> Iterator[Invalid]:
    clause = "config.md#posix-process"
    seen = set()
    for rlimit in process.rlimits:
        if rlimit.type not in RLIMITS:
            yield Invalid(f"wrong rlimit value: {rlimit.type}", f"{rlimit.pointer}.type", clause=clause)
        if rlimit.type in seen:
            yield Invalid(f"{rlimit.type} is listed twice", rlimit.pointer, clause=clause)
        if rlimit.soft > rlimit.hard:
            yield Invalid("the soft limit is above the hard limit", rlimit.pointer, clause=clause)
        seen.add(rlimit.type)


def oom_score_adj(process: Process) -> Iterator[Invalid]:
    if process.oom_score_adj is not None and not -1000 <= process.oom_score_adj <= 1000:
        message = "oomScoreAdj must be from -1000 to 1000"
        yield Invalid(message, member(process, "oomScoreAdj"), clause="config.md#linux-process")


PROCESS_RULES = (cwd, args, process_env, rlimits, oom_score_adj)

# -- the document --------------------------------------------------------------------------------------------------


def version(spec: Spec) -> Iterator[Invalid]:
    if not is_semver(spec.oci_version):
        message = f'"{spec.oci_version}" is not a version such as 1.3.0'
        yield Invalid(message, "ociVersion", clause="config.md#specification-version")
    elif not spec.oci_version.startswith("1."):
        message = f"version {spec.oci_version} of the specification is not supported, only version 1 is"
        yield Invalid(message, "ociVersion", clause="config.md#specification-version")


def is_semver(text: str) -> bool:
    """Semantic Versioning 2.0.0: three numbers, then perhaps `-` and a pre-release, then perhaps `+` and a build."""
    rest, plus, build = text.partition("+")
    core, minus, release = rest.partition("-")
    numbers = core.split(".")
    return (
        len(numbers) == 3
        and all(is_semver_number(number) for number in numbers)
        and (not minus or all(is_identifier(word) and not is_padded(word) for word in release.split(".")))
        and (not plus or all(is_identifier(word) for word in build.split(".")))
    )


def is_semver_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and not is_padded(text)


def is_padded(text: str) -> bool:
    return text.isdigit() and text[0] == "0" and text != "0"


def is_identifier(text: str) -> bool:
    return text.isascii() and text.replace("-", "0").isalnum()


def root(spec: Spec) -> Iterator[Invalid]:
    if spec.root is None:
        yield Invalid("root must be specified", "root", clause="config.md#root")
    elif not spec.root.path:
        yield Invalid("the path of the root filesystem must not be empty", "root.path", clause="config.md#root")


def mounts(spec: Spec) -> Iterator[Invalid]:
    for mount in spec.mounts:
        if not mount.destination:
            yield Invalid("a mount needs a destination", f"{mount.pointer}.destination", clause="config.md#mounts")
        mapped = mount.uid_mappings or mount.gid_mappings
        words = [word for word in mount.options if word.lstrip("r")[:5] == "idmap"]
        if mapped or words:
            yield from mapped_mount(spec, mount, any("=" in word for word in words))


def mapped_mount(spec: Spec, mount: Mount, custom: bool) -> Iterator[Invalid]:
    """`custom`: the mappings stand in the option."""
    pointer, uids, gids = mount.pointer, mount.uid_mappings, mount.gid_mappings
    if "bind" not in mount.options and "rbind" not in mount.options and mount.type != "bind":
        yield Invalid("id-mapped mounts are only supported for bind-mounts", pointer, clause="config.md#mounts")
    implied = custom or any(namespace.type == "user" for namespace in spec.linux.namespaces)
    if bool(uids) != bool(gids) or not (uids or implied):
        message = "id-mapped mounts must have both uid and gid mappings specified"
        yield Invalid(message, pointer, clause="config.md#mounts")
    yield from mappings(uids, f"{pointer}.uidMappings")
    yield from mappings(gids, f"{pointer}.gidMappings")


def namespaces(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#namespaces"
    seen = set()
    for namespace in spec.linux.namespaces:
        if namespace.type not in NAMESPACES:
            yield Invalid(f'namespace "{namespace.type}" does not exist', f"{namespace.pointer}.type", clause=clause)
        if namespace.type in seen:
            yield Invalid(f'malformed spec file: duplicated ns "{namespace.type}"', namespace.pointer, clause=clause)
        if namespace.path and namespace.path[0] != "/":
            yield Invalid("the path of a namespace must be absolute", f"{namespace.pointer}.path", clause=clause)
        seen.add(namespace.type)


def user_namespace(spec: Spec) -> Iterator[Invalid]:
    clause = "config-linux.md#user-namespace-mappings"
    linux = spec.linux
    mapped = linux.uid_mappings or linux.gid_mappings
    user = [namespace for namespace in linux.namespaces if namespace.type == "user"]
    if not user and mapped:
        message = "user namespace mappings specified, but user namespace isn't enabled in the config"
        yield Invalid(message, "linux.uidMappings", clause=clause)
    if user and not user[0].path and not mapped:
        message = "user namespaces enabled, but no namespace path to join nor mappings to apply specified"
        yield Invalid(message, user[0].pointer, clause=clause)
    if mapped and bool(linux.uid_mappings) != bool(linux.gid_mappings):
        missing = "linux.gidMappings" if linux.uid_mappings else "linux.uidMappings"
        yield Invalid("a user namespace needs uidMappings and gidMappings", missing, clause=clause)
    yield from mappings(linux.uid_mappings, "linux.uidMappings")
    yield from mappings(linux.gid_mappings, "linux.gidMappings")


def mappings(entries: tuple[IDMapping, ...], pointer: str) -> Iterator[Invalid]:
    """What the kernel refuses in a map, said before anything is made: empty, wrapping and overlapping ranges."""
    clause = "config-linux.md#user-namespace-mappings"
    if len(entries) > MAX_MAPPINGS:
        yield Invalid(f"the kernel takes at most {MAX_MAPPINGS} mappings", pointer, clause=clause)
    for entry in entries:
        if entry.size == 0:
            yield Invalid("the size of a mapping must not be 0", f"{entry.pointer}.size", clause=clause)
        if max(entry.container_id, entry.host_id) + entry.size > 0xFFFFFFFF:
            yield Invalid("the mapping goes beyond the highest id", entry.pointer, clause=clause)
    containers = [(entry.container_id, entry.size, entry.pointer) for entry in entries]
    hosts = [(entry.host_id, entry.size, entry.pointer) for entry in entries]
    for ranges in (containers, hosts):
        end = 0
        for start, size, place in sorted(ranges):
            if start < end:
                yield Invalid("the mapping overlaps another one", place, clause=clause)
            end = max(end, start + size)


def host_names(spec: Spec) -> Iterator[Invalid]:
    if any(namespace.type == "uts" for namespace in spec.linux.namespaces):
        return
    if spec.hostname:
        yield Invalid("unable to set hostname without a private UTS namespace", "hostname", clause="config.md#hostname")
    if spec.domainname:
        message = "unable to set domainname without a private UTS namespace"
        yield Invalid(message, "domainname", clause="config.md#domainname")


def hidden_paths(spec: Spec) -> Iterator[Invalid]:
    linux = spec.linux
    yield from hidden(linux.masked_paths, linux, "linux.maskedPaths", "config-linux.md#masked-paths")
    yield from hidden(linux.readonly_paths, linux, "linux.readonlyPaths", "config-linux.md#readonly-paths")


def hidden(paths: tuple[str, ...], linux: Linux, pointer: str, clause: str) -> Iterator[Invalid]:
    if paths and not any(namespace.type == "mount" for namespace in linux.namespaces):
        yield Invalid("unable to restrict sys entries without a private MNT namespace", pointer, clause=clause)
    for index, path in enumerate(paths):
        if path[:1] != "/":
            yield Invalid("the path must be absolute", f"{pointer}[{index}]", clause=clause)


def propagation(spec: Spec) -> Iterator[Invalid]:
    value = spec.linux.rootfs_propagation
    if value and value not in PROPAGATIONS:
        clause = "config-linux.md#rootfs-mount-propagation"
        yield Invalid(f"rootfsPropagation={value} is not supported", "linux.rootfsPropagation", clause=clause)


def annotation_keys(spec: Spec) -> Iterator[Invalid]:
    if "" in spec.annotations:
        yield Invalid("the key of an annotation must not be empty", "annotations", clause="config.md#annotations")


RULES = (
    version, root, mounts, namespaces, user_namespace, host_names, hidden_paths, propagation, annotation_keys,
)  # fmt: skip

# -- resources -----------------------------------------------------------------------------------------------------


def device_rules(resources: Resources) -> Iterator[Invalid]:
    clause = "config-linux.md#allowed-device-list"
    for rule in resources.devices:
        if rule.type not in ("a", "b", "c"):
            yield Invalid(f'invalid cgroup device type "{rule.type}"', f"{rule.pointer}.type", clause=clause)
        if rule.access.strip("rwma"):  # `a` stands in documents that runc takes; it says nothing
            yield Invalid(f'device access "{rule.access}" has letters other than rwm', rule.pointer, clause=clause)
        if (rule.major or 0) < 0 or (rule.minor or 0) < 0:
            yield Invalid("a device number must not be negative", rule.pointer, clause=clause)
