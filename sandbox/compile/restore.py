"""Compiles the start of the criu that restores a container, out of the plan that would create it.

CRIU makes namespaces, mounts and processes from its images, but it wants a place for them: the cgroup with its limits,
in which criu itself runs then; a root file system with all the folders and files that mounts go on, as `create` makes
them; and that root as a mount without anything in it. Mount points are made in a tree that is thrown away, in a mount
namespace of criu's own, in which new file systems are represented by an empty tmpfs: what would be made in one of them
comes out of the images. So nothing is left to unmount, whenever we are killed. Pure.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.namespaces import CLONE_FLAGS
from pyrunc.sandbox.compile.process import DEFAULT_PATH
from pyrunc.sandbox.operations import fields
from pyrunc.sandbox.plan import RENDEZVOUS_NUMBER, Plan, host, op
from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.plan import Operation, Value
    from pyrunc.specs.runtime import Spec

# Host operations for the init that CRIU makes (until then criu itself is recorded); the rendezvous that stays.
LEFT_OUT = {
    "listen", "inherit", "append_to", "open_namespace", "id_maps", "network", "hooks", "console",
    "listener",
}  # fmt: skip
KEPT_RENDEZVOUS = RENDEZVOUS_NUMBER["cgroup"]
# What creation does to the root file system, and what it needs for that.
KEPT = {"attach_devices", "bind_device", "mkdir", "mknod", "symlink"}
NEW_FILE_SYSTEMS = {"mount", "mount_legacy"}
SLAVE = 0x80000 | 0x4000  # MS_SLAVE | MS_REC
CONTROL_FD = 3  # of the conversation with criu; the namespaces that it inherits come after it
INHERITED = ("network", "pid")


def compile_restore(create: Plan, spec: Spec, criu: str, root: str, env: dict[str, str]) -> Plan:
    """The plan of a criu that waits for its request on fd 3. `root`: an empty folder for the mount of the root file
    system; `env`: criu's environment."""
    plan = Plan()
    plan.warnings, plan.folders, plan.freezer = create.warnings, create.folders, create.freezer
    plan.resctrl, plan.unit = create.resctrl, create.unit
    plan.host = [item for item in create.host if _is_kept(item)]
    namespaces = inherited(spec)
    before = [host("criu", "", "criu")]
    for kind, path, pointer, _ in namespaces:
        before.append(host("open_namespace", pointer, f"{kind}.namespace", CLONE_FLAGS[kind], path))
    launch = next(index for index, item in enumerate(plan.host) if item.name == "launch")
    plan.host[launch:launch] = before
    for item in create.init:
        _add(plan, item)
    assert spec.root is not None
    rootfs = str(next(value(item, "path") for item in create.init if item.name == "open_root"))
    plan.init.append(op("rebind_root", "root.path", rootfs, root))
    # The program before the descriptors: looking for it must not meet one of theirs.
    plan.init.append(op("find_program", "", criu, env.get("PATH") or DEFAULT_PATH))
    plan.init.append(op("place_fd", "", "criu", CONTROL_FD))
    for kind, _, pointer, number in namespaces:
        plan.init.append(op("place_fd", pointer, f"{kind}.namespace", number))
    variables = tuple(f"{name}={text}" for name, text in env.items())
    plan.init.append(op("exec", "", ("criu", "swrk", str(CONTROL_FD)), variables))
    return plan


def inherited(spec: Spec) -> list[tuple[str, str, str, int]]:
    """(type, path, pointer, number in criu) of the namespaces that exist and that CRIU leaves alone."""
    found = [item for item in spec.linux.namespaces if item.path and item.type in INHERITED]
    return [(item.type, item.path, item.pointer, CONTROL_FD + 1 + index) for index, item in enumerate(found)]


def bound(create: Plan) -> list[tuple[str, str]]:
    """(target, source) of all that creation binds from outside into the container: mounts that are not CRIU's."""
    place = {"bind": "target", "bind_device": "path"}
    for item in create.init:
        if item.name == "stack_root":
            raise Failure(
                "save or restore the root file system", item.pointer,
                detail="CRIU would lose the layers it is stacked of",
                hint="a flat bundle can be (`pyrunc image unpack` without --layers)",
            )  # fmt: skip
        if item.name == "bind" and value(item, "id_map"):
            raise Failure(
                "save or restore the mount on " + str(value(item, "target")), item.pointer,
                detail="CRIU does not know id-mapped mounts", hint="files in it would get other owners",
            )  # fmt: skip
    return [
        (str(value(item, place[item.name])), str(value(item, "source"))) for item in create.init if item.name in place
    ]


def masked(create: Plan) -> list[str]:
    """The paths that creation masks."""
    return [str(value(item, "path")) for item in create.init if item.name == "mask"]


def value(item: Operation, name: str) -> Value:
    """The value of an operation's field."""
    return item.values[[field for _, field in fields(item.name)].index(name)]


def _is_kept(item: Operation) -> bool:
    if item.name in ("await", "answer"):
        return item.values[0] == KEPT_RENDEZVOUS
    return item.name not in LEFT_OUT


def _add(plan: Plan, item: Operation) -> None:
    if item.name == "spawn":
        plan.init.append(op("spawn", item.pointer, CLONE_FLAGS["mount"], value(item, "cgroup")))
        plan.init.append(op("propagate_root", "", SLAVE))  # nothing of ours gets out, the host's mounts come in
    elif item.name in KEPT or (item.name == "sync" and value(item, "rendezvous") == KEPT_RENDEZVOUS):
        plan.init.append(item)
    elif item.name == "open_root":
        plan.init.append(op("open_root", item.pointer, 1, value(item, "path")))  # as a mount, whoever's the mounts are
    elif item.name == "bind":
        # As it is, and opened by criu's own rights, which are ours: only what lies in it is of interest.
        recursive, target, source = (value(item, name) for name in ("recursive", "target", "source"))
        values = ("", "", 0, recursive, 0, 0, 0, 0, 0, 0, target, source)
        plan.init.append(op("bind", item.pointer, *values))
    elif item.name in NEW_FILE_SYSTEMS:
        target = value(item, "target")
        plan.init.append(op("mount", item.pointer, "", 0, 0, target, "tmpfs", "tmpfs", ["mode=755"]))
