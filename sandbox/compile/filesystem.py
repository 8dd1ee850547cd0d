"""Compiles the file system around the mounts: root, default devices and links, console, masked and read-only paths.

config-linux.md "Default Devices", "Devices", "Masked Paths", "Readonly Paths", "Rootfs Mount Propagation". Pure.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.mounts import PROPAGATION, RDONLY, REC, is_bind, normal
from pyrunc.sandbox.compile.namespaces import CLONE_FLAGS
from pyrunc.sandbox.plan import op
from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.compile.create import Request
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Operation, Plan
    from pyrunc.specs.runtime import Device, Process, Spec

DEFAULT_DEVICES = (
    ("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8), ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
)  # fmt: skip
LINKS = (
    ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"),
)  # fmt: skip
NODE_TYPES = {"c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000}


def root(plan: Plan, spec: Spec, rootfs: str, flags: int) -> None:
    """The root file system becomes a mount; before it nothing may propagate back to the host."""
    if flags & CLONE_FLAGS["mount"]:
        kind, recursive = _root_propagation(spec)
        # unbindable is set after the pivot: the root file system itself could not be bound otherwise.
        first = PROPAGATION["private"] | REC if kind == PROPAGATION["unbindable"] else kind | recursive
        if not kind:  # unset: the host's later mounts come in, nothing gets out
            first = PROPAGATION["slave"] | REC
        plan.init.append(op("propagate_root", "linux.rootfsPropagation", first))
    # The host's /dev/null: after / has left the host's peer groups, or a mask over a mask would propagate to the host;
    # before any mount of the image can stand in for it (CVE-2025-31133).
    plan.init.append(op("open_null", "", "null"))
    own = flags & CLONE_FLAGS["mount"] or mounts_on_host(spec)
    plan.init.append(op("open_root", "root.path", int(bool(own)), rootfs))


def mounts_on_host(spec: Spec) -> bool:
    """Whether the document's mounts are made in the caller's own mount namespace; somebody has to take them away."""
    return bool(spec.mounts) and not any(item.type == "mount" for item in spec.linux.namespaces)


def _root_propagation(spec: Spec) -> tuple[int, int]:
    word = spec.linux.rootfs_propagation
    if word in PROPAGATION:
        return PROPAGATION[word], REC if word != "shared" else 0
    return PROPAGATION.get(word[1:], 0), REC


def devices(plan: Plan, spec: Spec, facts: Facts, request: Request) -> None:
    """Listed devices, then the defaults that are not listed, then the links. A /dev that is bound is left as it is."""
    assert spec.process is not None
    # The working folder too is made before anything turns read-only.
    cwd = normal(spec.process.cwd)
    if cwd != "/":
        plan.init.append(op("mkdir", "process.cwd", 0o755, cwd, tolerate="exists_ok denied_ok"))
    if any(normal(mount.destination) == "/dev" and is_bind(mount) for mount in spec.mounts):
        return
    isolated = facts.in_user_namespace or any(item.type == "user" for item in spec.linux.namespaces)
    listed = set()
    for device in spec.linux.devices:
        path = normal(device.path)
        if path in ("/dev/ptmx", "/dev/console") or path in listed:
            continue  # a link and the terminal's: engines list them as well, and some things twice
        listed.add(path)
        plan.init.append(_listed(device, path, isolated))
    for path, major, minor in DEFAULT_DEVICES:
        if path not in listed:
            plan.init.append(_device("linux.devices", path, 0o020666, major, minor, 0, 0, isolated))
    for path, target in LINKS:
        plan.init.append(op("symlink", "linux.devices", path, target, tolerate="exists_ok"))
    if facts.has_kcore:
        plan.init.append(op("symlink", "linux.devices", "/dev/core", "/proc/kcore", tolerate="exists_ok"))


def _listed(device: Device, path: str, isolated: bool) -> Operation:
    mode = (0o666 if device.file_mode is None else device.file_mode) & 0o7777 | NODE_TYPES[device.type]
    return _device(
        device.pointer, path, mode, device.major or 0, device.minor or 0, device.uid or 0, device.gid or 0,
        isolated and device.type != "p",
    )  # fmt: skip


def _device(pointer: str, path: str, mode: int, major: int, minor: int, uid: int, gid: int, bound: bool) -> Operation:
    if bound:  # mknod is not for user namespaces
        return op("bind_device", pointer, mode, major, minor, path, path)
    return op("mknod", pointer, mode, major, minor, uid, gid, path, tolerate="exists_ok")


def console(plan: Plan, process: Process, request: Request, flags: int) -> str:
    """The pivot, then the terminal of the container's own devpts. Returns the slot of its master, "" without a
    terminal."""
    if not flags & CLONE_FLAGS["mount"]:
        plan.init.append(op("chroot", "root.path"))
    else:
        plan.init.append(op("move_root" if request.no_pivot else "pivot_root", "root.path"))
    if not process.terminal:
        plan.init.append(op("fresh_null", ""))
        return ""
    size = process.console_size
    rows, columns = (size.height, size.width) if size else (0, 0)
    user = process.user
    plan.init.append(op("open_console", "process.terminal", "console", rows, columns, user.uid, -1, 1))
    plan.init.append(op("use_console", "process.terminal"))
    return "console"


def protect(plan: Plan, spec: Spec, deferred: list[tuple[str, str]], flags: int) -> None:
    """Everything that closes the file system, once all that had to be made in it is there."""
    init = plan.init
    linux = spec.linux
    for key, value in linux.sysctl.items():
        # Through a private procfs, before readonlyPaths make /proc/sys read-only in the container's own.
        init.append(op("sysctl", f"linux.sysctl.{key}", _sysctl_path(key), value))
    for slot, pointer in deferred:
        init.append(op("set_attr", pointer, slot, RDONLY, 0, 0, phase="rootfs"))
    for index, path in enumerate(linux.readonly_paths):
        init.append(op("readonly", f"linux.readonlyPaths[{index}]", path, tolerate="missing_ok"))
    if linux.masked_paths and linux.mount_label:
        init.append(op("empty_folder", "linux.mountLabel", [f"context={linux.mount_label}"]))
    masked = set()
    for index, path in enumerate(linux.masked_paths):
        if path not in masked:  # one cover is enough
            init.append(op("mask", f"linux.maskedPaths[{index}]", "null", path, tolerate="missing_ok"))
            masked.add(path)
    if (linux.masked_paths or linux.readonly_paths) and not any(item.type == "mount" for item in linux.namespaces):
        raise Invalid("masked and read-only paths need a mount namespace", "linux.maskedPaths")
    kind, recursive = _root_propagation(spec)
    last = kind | recursive if kind in (PROPAGATION["shared"], PROPAGATION["unbindable"]) else 0
    assert spec.root is not None
    if spec.root.readonly or last:
        init.append(op("root_attr", "root.readonly", RDONLY if spec.root.readonly else 0, last))


def _sysctl_path(key: str) -> str:
    """`net.ipv4.conf.eth0/1.forwarding` as sysctl(8) reads it: the first separator found tells which one is used."""
    dot, slash = key.find("."), key.find("/")
    if slash == -1 or (dot != -1 and dot < slash):
        return key.translate({ord("."): "/", ord("/"): "."})
    return key
