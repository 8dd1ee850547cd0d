"""Compiles a mount of type `cgroup`: what the container sees of its cgroups. Only loaded when there is one.

v2: one cgroup2 mount, whose root is the container's cgroup by its cgroup namespace. v1 and hybrid: a tmpfs with a
folder for each hierarchy and links for co-mounted controllers, as distributions lay it out. Pure.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.namespaces import CLONE_FLAGS
from pyrunc.sandbox.plan import op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout
    from pyrunc.sandbox.compile.mounts import Options
    from pyrunc.sandbox.plan import Plan
    from pyrunc.specs.runtime import IDMapping, Mount, Spec

RDONLY, NOSUID, NODEV, NOEXEC = 0x1, 0x2, 0x4, 0x8


def cgroup_mount(
    plan: Plan, spec: Spec, layout: Layout, mount: Mount, options: Options, target: str, index: int, flags: int,
    deferred: list[tuple[str, str]],
) -> None:  # fmt: skip
    """Adds the operations; the tmpfs of v1 is made read-only with the other `deferred` mounts."""
    private = bool(flags & CLONE_FLAGS["cgroup"])
    if private:
        # Before the mount: its root is that of the mounter's cgroup namespace.
        if not any(item.name == "unshare_cgroup" for item in plan.init):
            plan.init.append(op("unshare_cgroup", "linux.namespaces", phase="mounts"))
    if layout.mode == "v2":
        _unified(plan, spec, layout, mount, options, target)
    else:
        _legacy(plan, layout, mount, options, target, index, private, deferred, spec.linux.mount_label)


def manager(spec: Spec) -> tuple[int, int]:
    """The process's user and group as the host calls them, if a cgroup mount may be written; 0 if none may, or the host
    has no such user: then there is nobody but root to manage cgroups."""
    from pyrunc.sandbox.compile.mounts import Options, is_bind

    found = [item for item in spec.mounts if item.type in ("cgroup", "cgroup2") and not is_bind(item)]
    if all(Options(item.options).set & RDONLY for item in found):
        return 0, 0
    return host_user(spec)


def host_user(spec: Spec) -> tuple[int, int]:
    """What the host calls the process's user and group; 0 as well for one that it does not know."""
    if spec.process is None:
        return 0, 0
    user = spec.process.user
    if not any(item.type == "user" for item in spec.linux.namespaces):
        return user.uid, user.gid
    return _outside(user.uid, spec.linux.uid_mappings), _outside(user.gid, spec.linux.gid_mappings)


def _outside(number: int, mappings: Iterable[IDMapping]) -> int:
    for entry in mappings:
        if entry.container_id <= number < entry.container_id + entry.size:
            return entry.host_id + number - entry.container_id
    return 0


def _unified(plan: Plan, spec: Spec, layout: Layout, mount: Mount, options: Options, target: str) -> None:
    assert layout.unified is not None
    kinds = {item.type for item in spec.linux.namespaces}
    if "cgroup" in kinds:
        data = [item for item in options.data if item != "ro"]
        plan.init.append(
            op("mount", mount.pointer, "", options.set, options.propagation, target, "cgroup2", "cgroup", data)
        )
        return
    # Without a cgroup namespace a bind shows the same as a mount. A mount would set the flags of the whole hierarchy
    # anew, which waits 10 ms for a grace period; and root of a user namespace may not make it: its container sees its
    # own cgroup.
    own = next((str(item.values[1]) for item in plan.host if item.name == "open_cgroup"), "")
    _bind(plan, mount, options, target, own if own and "user" in kinds else layout.unified.mount)


def _legacy(
    plan: Plan, layout: Layout, mount: Mount, options: Options, target: str, index: int, private: bool,
    deferred: list[tuple[str, str]], label: str,
) -> None:  # fmt: skip
    entered = [str(folder) for item in plan.host if item.name == "enter_cgroups" for folder in item.values[0]]  # type: ignore[union-attr]
    slot = f"mount[{index}]"
    shown = NOSUID | NODEV | NOEXEC | options.set & ~RDONLY
    data = ["mode=755"]
    if label:
        from pyrunc.sandbox.compile.labels import mount_label

        data = mount_label(label, "tmpfs", data)
    plan.init.append(op("mount", mount.pointer, slot, shown, options.propagation, target, "tmpfs", "tmpfs", data))
    if options.set & RDONLY:
        deferred.append((slot, mount.pointer))
    for hierarchy in layout.hierarchies:
        name = ",".join(hierarchy.controllers).removeprefix("name=")
        place = f"{target}/{name}"
        if private:
            plan.init.append(
                op(
                    "mount",
                    mount.pointer,
                    "",
                    options.set | NOSUID | NODEV | NOEXEC,
                    0,
                    place,
                    "cgroup",
                    "cgroup",
                    _names(hierarchy),
                )
            )
        else:
            own = next((folder for folder in entered if folder.startswith(hierarchy.mount + "/")), hierarchy.own)
            _bind(plan, mount, options, place, own)
        if "," in name:
            for controller in hierarchy.controllers:
                plan.init.append(op("symlink", mount.pointer, f"{target}/{controller}", name, tolerate="exists_ok"))


def _names(hierarchy: Hierarchy) -> list[str]:
    """What selects a hierarchy; a named one has no controllers, which has to be said."""
    names: list[str] = []
    for controller in hierarchy.controllers:
        names += ["none", controller] if controller.startswith("name=") else [controller]
    return names


def _bind(plan: Plan, mount: Mount, options: Options, target: str, source: str) -> None:
    shown = options.set | NOSUID | NODEV | NOEXEC
    plan.init.append(op("bind", mount.pointer, "", "", 0, 0, shown, 0, 0, 0, 0, options.propagation, target, source))
