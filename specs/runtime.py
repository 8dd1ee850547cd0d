"""config.json of runtime-spec 1.3.0 as typed values: what nearly every document has.

Each class reads one JSON object; its attributes have the specification's names in snake_case, and `pointer` says where
the object stands. Defaults are settled here and nowhere else: an absent list is `()`, an absent map `{}`, an absent
string "", an absent boolean False; None where absent means something of its own. What a value may be besides its type
is the matter of `rules`.

Loaded on every start of a container: sections that most documents lack live in `resources`, `seccomp` and `sections`,
which come (`late`) only with a document that has them. Must import nothing else, and must not look at the machine.
"""

from __future__ import annotations

from pyrunc.specs.decode import ID, INT32, INT64, UINT32, UINT64, Node, decode, late
from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.resources import CPU as CPU
    from pyrunc.specs.resources import BlockIO as BlockIO
    from pyrunc.specs.resources import HugepageLimit as HugepageLimit
    from pyrunc.specs.resources import Memory as Memory
    from pyrunc.specs.resources import Network as Network
    from pyrunc.specs.resources import Pids as Pids
    from pyrunc.specs.resources import Rdma as Rdma
    from pyrunc.specs.seccomp import Seccomp as Seccomp
    from pyrunc.specs.sections import ConsoleSize as ConsoleSize
    from pyrunc.specs.sections import CPUAffinity as CPUAffinity
    from pyrunc.specs.sections import Device as Device
    from pyrunc.specs.sections import Hook as Hook
    from pyrunc.specs.sections import Hooks as Hooks
    from pyrunc.specs.sections import IntelRdt as IntelRdt
    from pyrunc.specs.sections import IOPriority as IOPriority
    from pyrunc.specs.sections import MemoryPolicy as MemoryPolicy
    from pyrunc.specs.sections import NetDevice as NetDevice
    from pyrunc.specs.sections import Personality as Personality
    from pyrunc.specs.sections import Scheduler as Scheduler
    from pyrunc.specs.sections import TimeOffset as TimeOffset

VERSION = "1.3.0"


def decode_spec(data: bytes) -> Spec:
    """config.json, typed; `rules.check` comes next."""
    value = decode(data)
    if value is None:
        raise Invalid("config cannot be null")
    try:
        return Spec(Node(value))
    except Invalid as error:
        from pyrunc.specs.clauses import clause_of

        error.clause = error.clause or clause_of(error.pointer)
        raise


def decode_process(data: bytes) -> Process:
    """The document of `exec --process`."""
    return Process(Node(decode(data)))


class Spec:
    __slots__ = (
        "annotations", "domainname", "hooks", "hostname", "linux", "mounts", "oci_version", "pointer", "process",
        "root",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.oci_version = node.text("ociVersion")
        self.root = node.child("root", Root)
        self.mounts = node.children("mounts", Mount)
        self.process = node.child("process", Process)
        self.hostname = node.text("hostname")
        self.domainname = node.text("domainname")
        self.hooks: Hooks | None = node.child("hooks", late("sections", "Hooks"))
        self.annotations = node.text_map("annotations")
        self.linux = node.child("linux", Linux) or Linux(Node({}, "linux"))


class Root:
    __slots__ = ("path", "pointer", "readonly")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.path = node.required_text("path")
        self.readonly = node.flag("readonly")


class Mount:
    __slots__ = ("destination", "gid_mappings", "options", "pointer", "source", "type", "uid_mappings")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.destination = node.required_text("destination")
        self.type = node.text("type")
        self.source = node.text("source")
        self.options = node.texts("options")
        self.uid_mappings = node.children("uidMappings", IDMapping)
        self.gid_mappings = node.children("gidMappings", IDMapping)


class IDMapping:
    __slots__ = ("container_id", "host_id", "pointer", "size")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.container_id = node.required_integer("containerID", ID)
        self.host_id = node.required_integer("hostID", ID)
        self.size = node.required_integer("size", UINT32)


class Process:
    """Also what `exec --process` reads. `cwd` and `args` may be missing here: the rules refuse that in runc's words."""

    __slots__ = (
        "apparmor_profile", "args", "capabilities", "console_size", "cwd", "env", "exec_cpu_affinity", "io_priority",
        "no_new_privileges", "oom_score_adj", "pointer", "rlimits", "scheduler", "selinux_label", "terminal", "user",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.terminal = node.flag("terminal")
        self.console_size: ConsoleSize | None = node.child("consoleSize", late("sections", "ConsoleSize"))
        self.cwd = node.text("cwd")
        self.env = node.texts("env")
        self.args = node.texts("args")
        self.user = node.child("user", User) or User(Node({}, node.at("user")))
        self.rlimits = node.children("rlimits", Rlimit)
        self.capabilities = node.child("capabilities", Capabilities)
        self.no_new_privileges = node.flag("noNewPrivileges")
        self.apparmor_profile = node.text("apparmorProfile")
        self.selinux_label = node.text("selinuxLabel")
        self.oom_score_adj = node.integer("oomScoreAdj", INT32)
        self.scheduler: Scheduler | None = node.child("scheduler", late("sections", "Scheduler"))
        self.io_priority: IOPriority | None = node.child("ioPriority", late("sections", "IOPriority"))
        self.exec_cpu_affinity: CPUAffinity | None = node.child("execCPUAffinity", late("sections", "CPUAffinity"))


class User:
    __slots__ = ("additional_gids", "gid", "pointer", "uid", "umask")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.uid = node.integer("uid", ID) or 0
        self.gid = node.integer("gid", ID) or 0
        self.umask = node.integer("umask", UINT32)
        self.additional_gids = node.integers("additionalGids", ID)


class Rlimit:
    __slots__ = ("hard", "pointer", "soft", "type")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.type = node.required_text("type")
        self.soft = node.required_integer("soft", UINT64)
        self.hard = node.required_integer("hard", UINT64)


class Capabilities:
    __slots__ = ("ambient", "bounding", "effective", "inheritable", "permitted", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.bounding = node.texts("bounding")
        self.effective = node.texts("effective")
        self.inheritable = node.texts("inheritable")
        self.permitted = node.texts("permitted")
        self.ambient = node.texts("ambient")


def empty_capabilities() -> Capabilities:
    return Capabilities(Node({}, "process.capabilities"))


class Linux:
    __slots__ = (
        "cgroups_path", "devices", "gid_mappings", "intel_rdt", "masked_paths", "memory_policy", "mount_label",
        "namespaces", "net_devices", "personality", "pointer", "readonly_paths", "resources", "rootfs_propagation",
        "seccomp", "sysctl", "time_offsets", "uid_mappings",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.namespaces = node.children("namespaces", Namespace)
        self.uid_mappings = node.children("uidMappings", IDMapping)
        self.gid_mappings = node.children("gidMappings", IDMapping)
        self.time_offsets: dict[str, TimeOffset] = node.child_map("timeOffsets", late("sections", "TimeOffset"))
        self.devices: tuple[Device, ...] = node.children("devices", late("sections", "Device"))
        self.net_devices: dict[str, NetDevice] = node.child_map("netDevices", late("sections", "NetDevice"))
        self.cgroups_path = node.text("cgroupsPath")
        self.resources = node.child("resources", Resources)
        self.rootfs_propagation = node.text("rootfsPropagation")
        self.seccomp: Seccomp | None = node.child("seccomp", late("seccomp", "Seccomp"))
        self.sysctl = node.text_map("sysctl")
        self.masked_paths = node.texts("maskedPaths")
        self.readonly_paths = node.texts("readonlyPaths")
        self.mount_label = node.text("mountLabel")
        self.intel_rdt: IntelRdt | None = node.child("intelRdt", late("sections", "IntelRdt"))
        self.memory_policy: MemoryPolicy | None = node.child("memoryPolicy", late("sections", "MemoryPolicy"))
        self.personality: Personality | None = node.child("personality", late("sections", "Personality"))


class Namespace:
    __slots__ = ("path", "pointer", "type")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.type = node.required_text("type")
        self.path = node.text("path")


class Resources:
    """Also what `update --resources` reads."""

    __slots__ = (
        "block_io", "cpu", "devices", "hugepage_limits", "memory", "network", "pids", "pointer", "rdma", "unified",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.devices = node.children("devices", DeviceRule)
        self.memory: Memory | None = node.child("memory", late("resources", "Memory"))
        self.cpu: CPU | None = node.child("cpu", late("resources", "CPU"))
        self.pids: Pids | None = node.child("pids", late("resources", "Pids"))
        self.block_io: BlockIO | None = node.child("blockIO", late("resources", "BlockIO"))
        self.hugepage_limits: tuple[HugepageLimit, ...] = node.children(
            "hugepageLimits", late("resources", "HugepageLimit")
        )
        self.network: Network | None = node.child("network", late("resources", "Network"))
        self.rdma: dict[str, Rdma] = node.child_map("rdma", late("resources", "Rdma"))
        self.unified = node.text_map("unified")


class DeviceRule:
    """An entry of the allowed devices. `major` and `minor` None: all of them; engines write -1 for that too."""

    __slots__ = ("access", "allow", "major", "minor", "pointer", "type")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.allow = node.required_flag("allow")
        self.type = node.text("type") or "a"
        self.major = all_or_one(node.integer("major", INT64))
        self.minor = all_or_one(node.integer("minor", INT64))
        self.access = node.text("access") or "rwm"


def all_or_one(number: int | None) -> int | None:
    return None if number == -1 else number
