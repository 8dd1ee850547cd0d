"""Compiles `mounts[]`: options to flags, in the listed order, each mount one operation.

config.md "Mounts"; the meaning of options is that of mount(8) and of features that the specification lists. Pure.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.namespaces import CLONE_FLAGS
from pyrunc.sandbox.plan import host, op, sync
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Plan
    from pyrunc.specs.runtime import Mount, Spec

RDONLY = 0x1
ATIME = 0x70  # MOUNT_ATTR__ATIME: relatime 0, noatime 0x10, strictatime 0x20
REC = 0x4000
# option: (attributes set, attributes cleared); every change of atime clears the whole field first (mount_setattr(2)).
ATTRIBUTES = {
    "ro": (0x1, 0), "rw": (0, 0x1), "nosuid": (0x2, 0), "suid": (0, 0x2), "nodev": (0x4, 0), "dev": (0, 0x4),
    "noexec": (0x8, 0), "exec": (0, 0x8), "nodiratime": (0x80, 0), "diratime": (0, 0x80),
    "nosymfollow": (0x200000, 0), "symfollow": (0, 0x200000), "noatime": (0x10, ATIME), "atime": (0, 0x10),
    "relatime": (0, ATIME), "norelatime": (0, 0), "strictatime": (0x20, ATIME), "nostrictatime": (0, 0x20),
}  # fmt: skip
NODIRATIME = 0x80
# Flags that a bind loses when it names others, and what takes an access time option back.
DROPPED = 0x20000F
ATIME_WORDS = {"noatime": "atime", "relatime": "norelatime", "strictatime": "nostrictatime", "nodiratime": "diratime"}
PROPAGATION = {"private": 0x40000, "shared": 0x100000, "slave": 0x80000, "unbindable": 0x20000}
# Options of the file system's super block that fsconfig(2) knows, and those that only take them back.
SUPER = {"sync": "sync", "dirsync": "dirsync", "lazytime": "lazytime", "mand": "mand"}
SUPER_CLEAR = {"async": "sync", "nolazytime": "lazytime", "nomand": "mand"}
IGNORED = {
    "defaults", "silent", "loud", "noiversion", "bind", "rbind", "remount", "tmpcopyup", "rsync", "rasync", "rdirsync",
    "rmand", "rnomand",
}  # fmt: skip
# crun's own options for binds, and what they are called in a plan.
LINKS = {"src-nofollow": "source_link", "dest-nofollow": "target_link", "copy-symlink": "copy_link"}
# Types whose super block is shared or virtual: only the mount is made read-only.
VIRTUAL = {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs", "devtmpfs"}
# Below /proc nothing may be mounted but these, and /proc itself only by procfs or a bind of it (CVE-2019-16884).
PROC_ALLOWED = {
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
    "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
}  # fmt: skip


class Options:
    """What the options of one mount come to."""

    __slots__ = (
        "clear", "data", "id_map", "iversion", "links", "named", "propagation", "rec_clear", "rec_set", "set", "then",
    )  # fmt: skip

    def __init__(self, options: Sequence[str]) -> None:
        self.set = self.clear = self.rec_set = self.rec_clear = self.propagation = 0
        self.iversion = False
        self.named = False  # some flag is set or cleared by name
        self.id_map = ""  # the option that asks for it
        self.links = ""  # what is not followed
        self.then: list[int] = []  # further propagations, each on top of the one before: `slave,shared` is both
        self.data: list[str] = []
        for option in options:
            self._add(option)

    def _add(self, option: str) -> None:
        if option in ATTRIBUTES:
            self.named = True
            on, off = ATTRIBUTES[option]
            self.set = self.set & ~off | on  # a later option overrides an earlier one
            self.clear = (self.clear | off) & ~on | off & ATIME
        elif option in PROPAGATION:
            self._propagate(PROPAGATION[option])
        elif option[:1] == "r" and option[1:] in PROPAGATION:
            self._propagate(PROPAGATION[option[1:]] | REC)
        elif option[:1] == "r" and option[1:] in ATTRIBUTES:
            on, off = ATTRIBUTES[option[1:]]
            self.rec_set = self.rec_set & ~off | on
            self.rec_clear = (self.rec_clear | off) & ~on | off & ATIME
        elif option in SUPER:
            self.data.append(SUPER[option])
        elif option in SUPER_CLEAR:
            self.data = [item for item in self.data if item != SUPER_CLEAR[option]]
        elif option == "iversion":
            self.iversion = True
        elif option.partition("=")[0] in ("idmap", "ridmap"):
            self.id_map = option
        elif option in LINKS:
            self.links += f" {LINKS[option]}"
        elif option not in IGNORED and option:
            self.data += [item for item in option.split(",") if item]


    def _propagate(self, flags: int) -> None:
        if self.propagation:
            self.then.append(flags)
        else:
            self.propagation = flags


def mounts(plan: Plan, spec: Spec, facts: Facts, rootfs: str, flags: int) -> list[tuple[str, str]]:
    """Adds all mounts; returns [(mount slot, pointer)] of those to be made read-only once everything in them exists."""
    deferred: list[tuple[str, str]] = []
    entered = not any(item.name == "enter_cgroups" for item in plan.host)
    for index, mount in enumerate(spec.mounts):
        if not index and mount.destination == "/":
            continue  # the root itself: stacked_root.py
        options = Options(mount.options)
        target = inside(rootfs, normal(mount.destination))
        if mount.destination[:1] != "/":
            plan.warnings.append(f"mount destination {mount.destination} is not absolute: it is taken from the root")
        if mount.type in ("cgroup", "cgroup2") and not is_bind(mount):
            from pyrunc.sandbox.compile.cgroup_mount import cgroup_mount

            if not entered:
                entered = _enter(plan)
            cgroup_mount(plan, spec, facts.layout, mount, options, target, index, flags, deferred)
        else:
            _mount(plan, spec, facts, mount, options, target, index, deferred)
        for propagation in options.then:
            plan.init.append(op("remount", mount.pointer, 0, 0, propagation, target, ()))
    if any(item.name == "opener" for item in plan.init):
        plan.init.append(op("dismiss_opener", "mounts"))
    if not entered:
        _enter(plan)
    if flags & CLONE_FLAGS["cgroup"] and not any(item.name == "unshare_cgroup" for item in plan.init):
        plan.init.append(op("unshare_cgroup", "linux.namespaces", phase="mounts"))
    return deferred


def _enter(plan: Plan) -> bool:
    """Waits until the host has moved init into its v1 cgroups. Before the cgroup namespace, because its root is
    wherever init is at that moment."""
    plan.init.append(sync("cgroup", "linux.cgroupsPath", "mounts"))
    plan.host.append(host("await", "linux.cgroupsPath", 1))
    plan.host.append(host("answer", "linux.cgroupsPath", 1))
    return True


def is_bind(mount: Mount) -> bool:
    """A bind is chosen by its options; `type` says nothing then. No file system is of the type bind."""
    return "bind" in mount.options or "rbind" in mount.options or mount.type == "bind"


def _mount(
    plan: Plan, spec: Spec, facts: Facts, mount: Mount, options: Options, target: str, index: int,
    deferred: list[tuple[str, str]],
) -> None:  # fmt: skip
    tolerate = _guard(mount, target)
    if "remount" in mount.options:
        clear = options.clear & ~options.set | (ATIME if options.set & ATIME else 0)
        plan.init.append(op("remount", mount.pointer, options.set, clear, options.propagation, target, options.data))
    elif is_bind(mount):
        if not mount.source:
            raise Invalid("a bind needs a source", mount.pointer, clause="config.md#mounts")
        words = ", ".join([item for item in options.data if item not in SUPER])
        if words:
            raise Invalid(
                f"bind mounts cannot have any filesystem-specific options applied: {words}", mount.pointer,
                "remove the options, or the bind", "config.md#mounts",
            )  # fmt: skip
        _bind(plan, spec, facts, mount, options, target, tolerate)
    else:
        _new(plan, spec, mount, options, index, target, tolerate, deferred)


def _guard(mount: Mount, target: str) -> str:
    if target == "/":
        raise Invalid(
            "mounting on / would hide the root file system", mount.pointer, "use root.path", "config.md#mounts"
        )
    if target in ("/proc", "/sys"):
        return "ordinary_folder"
    if target.startswith("/proc/") and target not in PROC_ALLOWED:
        raise Invalid(f'"{target}" cannot be mounted because it is inside /proc', mount.pointer)
    return ""


def _bind(
    plan: Plan, spec: Spec, facts: Facts, mount: Mount, options: Options, target: str, tolerate: str
) -> None:  # fmt: skip
    slot, map_all = "", 0
    if options.id_map or mount.uid_mappings:
        from pyrunc.sandbox.compile.id_mapped import id_map

        slot, map_all = id_map(plan, spec, facts, mount, options.id_map)
    tolerate += options.links
    if target == "/proc":
        tolerate += " procfs_only"
    on, off, drop = bind_flags(mount, options) if options.named else (0, 0, 0)
    plan.init.append(
        op(
            "bind", mount.pointer, "", slot, map_all, int("rbind" in mount.options), on, off, drop,
            options.rec_set, options.rec_clear, options.propagation, target, mount.source, tolerate=tolerate,
        )
    )  # fmt: skip


def bind_flags(mount: Mount, options: Options) -> tuple[int, int, int]:
    """Flags set, cleared, and dropped unless they are locked. Who names one flag gives up those of the source that are
    not named, as with a remount of mount(8); access times stay the source's until one of their words is set."""
    on, off = options.set & DROPPED, options.clear & DROPPED
    words: set[str] = set()
    for option in mount.options:
        if option in ATIME_WORDS:
            words.add(option)
        else:
            words -= {word for word in words if ATIME_WORDS[word] == option}
    if words:
        off |= ATIME | NODIRATIME
        on |= 0x20 if "strictatime" in words else 0x10 if "noatime" in words else 0
        on |= NODIRATIME if "nodiratime" in words else 0
    return on, off & ~(on & ~ATIME), DROPPED & ~(on | off)


def _new(
    plan: Plan, spec: Spec, mount: Mount, options: Options, index: int, target: str, tolerate: str,
    deferred: list[tuple[str, str]],
) -> None:  # fmt: skip
    kind = mount.type
    if not kind:
        raise Invalid("a mount needs a type, or the option bind", mount.pointer, clause="config.md#mounts")
    if target == "/proc" and kind != "proc":
        raise Invalid('"/proc" cannot be mounted: it is not a procfs', mount.pointer)
    data = options.data
    attributes = options.set
    slot = ""
    if attributes & RDONLY:
        if kind == "tmpfs" or target == "/dev":
            # Read-only once its content is there: devices, links and mount points have to be made in it first.
            attributes &= ~RDONLY
            slot = f"mount[{index}]"
            deferred.append((slot, mount.pointer))
        elif kind not in VIRTUAL:
            data = ["ro", *data]
    label = spec.linux.mount_label
    if label:
        from pyrunc.sandbox.compile.labels import mount_label

        slot = slot or ("" if kind != "mqueue" else f"mount[{index}]")
        unlabelled, data = data, mount_label(label, kind, data)
    if kind == "tmpfs" and not any(item.startswith("mode=") for item in data):
        tolerate += " inherit_mode"
    copied = "tmpcopyup" in mount.options and kind == "tmpfs"
    if copied:
        # Opened before the mount covers it, copied after; read-only only then.
        plan.init.append(op("open_folder", mount.pointer, f"folder[{index}]", target, tolerate="missing_ok"))
        slot = slot or f"mount[{index}]"
    if options.iversion or any(len(item) > 255 for item in data):
        if slot:
            raise Failure(
                f"mount {kind} on {target}", mount.pointer,
                detail="mount(2) gives no handle to make it read-only or fill it",
                hint="leave out iversion and options of more than 255 bytes, or ro and tmpcopyup",
            )  # fmt: skip
        flags = _legacy_flags(attributes, options)
        if label:
            data = mount_label(label, kind, unlabelled, quoted=True)
        plan.init.append(
            op(
                "mount_legacy",
                mount.pointer,
                flags,
                options.propagation,
                target,
                kind,
                mount.source or kind,
                ",".join(data),
            )
        )
        return
    plan.init.append(
        op(
            "mount", mount.pointer, slot, attributes, options.propagation, target, kind, mount.source or kind, data,
            tolerate=tolerate,
        )
    )  # fmt: skip
    if label and kind == "mqueue":
        plan.init.append(op("label_mount", "linux.mountLabel", slot, label))
    if copied:
        plan.init.append(op("copy_up", mount.pointer, f"folder[{index}]", slot))


def _legacy_flags(attributes: int, options: Options) -> int:
    """MOUNT_ATTR_* as MS_*: mount(2) is for options too long for fsconfig(2) and for iversion, which it does not
    know."""
    flags = attributes & 0xF
    flags |= {0x10: 0x400, 0x20: 0x1000000}.get(attributes & ATIME, 0x200000)
    flags |= 0x800 if attributes & 0x80 else 0
    flags |= 0x100 if attributes & 0x200000 else 0
    return flags | (0x800000 if options.iversion else 0)


def inside(rootfs: str, path: str) -> str:
    """A destination may also be written as the host sees it: runc takes the root file system's own path off."""
    return path[len(rootfs) :] or "/" if (path + "/").startswith(rootfs + "/") else path


def normal(path: str) -> str:
    """An absolute path without `.`, `..`, doubled or final slashes; relative destinations are deprecated and start at
    /."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
