"""Compiles the namespaces: which are joined, which are made, and the user namespace's maps.

Joining and making are different things: `path` joins (the launcher, before there is an init), no `path` makes (clone3).
"""

from __future__ import annotations

from pyrunc.sandbox.plan import host, op, sync
from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Plan
    from pyrunc.specs.runtime import IDMapping, Spec

CLONE_FLAGS = {
    "user": 0x10000000, "mount": 0x00020000, "pid": 0x20000000, "network": 0x40000000, "uts": 0x04000000,
    "ipc": 0x08000000, "cgroup": 0x02000000, "time": 0x00000080,
}  # fmt: skip
# The order of joins: user last, because nobody comes back from it with the rights that the others may take.
JOIN_ORDER = ("network", "ipc", "uts", "cgroup", "time", "pid", "mount", "user")


def namespaces(plan: Plan, spec: Spec, facts: Facts, cgroup_slot: str, entered: Sequence[str]) -> int:
    """Adds everything up to init's existence with its ids in order; returns the CLONE_NEW* flags of new namespaces."""
    linux = spec.linux
    new = 0
    joined: list[tuple[str, str, str]] = []
    for item in linux.namespaces:
        if item.path:
            joined.append((item.type, item.path, item.pointer))
        else:
            new |= CLONE_FLAGS[item.type]
    if new & CLONE_FLAGS["mount"] and _needs_opener(spec, facts):
        # Before the joins, because whoever joins a user namespace has no rights outside.
        plan.init.append(op("opener", "mounts"))
    late = _join(plan, joined, new)
    # cgroup: unshared once init is in its cgroup; time: who is born in a new one can give it no offsets any more
    spawned = new & ~CLONE_FLAGS["time"] & ~CLONE_FLAGS["cgroup"]
    plan.init.append(op("spawn", "linux.namespaces", spawned, cgroup_slot))
    plan.host.append(host("launch", ""))
    plan.host.append(host("record_pid", ""))
    if entered:
        # cgroup v1, begun as soon as init exists: on an idle machine the first write waits 13 ms for a grace period,
        # and init mounts meanwhile. The rendezvous comes just before init's cgroup has to be known (mounts.py).
        plan.host.append(host("enter_cgroups", "linux.cgroupsPath", tuple(entered)))
    if new & CLONE_FLAGS["user"]:
        _maps(plan, spec, facts)
    if new & CLONE_FLAGS["time"]:
        # In the container's user namespace, which shall own it; before `become_root`, after which the file with the
        # offsets is not init's any more.
        offsets = [f"{clock} {offset.secs} {offset.nanosecs}\n" for clock, offset in linux.time_offsets.items()]
        place = "linux.timeOffsets" if offsets else "linux.namespaces"
        plan.init.append(op("time_namespace", place, "".join(offsets)))
    if new & CLONE_FLAGS["user"] or any(kind == "user" for kind, _, _ in joined):
        if not linux.uid_mappings or any(entry.container_id == 0 for entry in linux.uid_mappings):
            plan.init.append(op("become_root", "linux.uidMappings"))
    plan.init += [op("join_late", *item, phase="identity") for item in late]
    return new


def prepared(spec: Spec) -> int:
    """The CLONE_NEW* flags of what can be made before there is a plan: a network takes as long as compiling one. Not
    with a user namespace, which has to own the others."""
    new = {item.type for item in spec.linux.namespaces if not item.path}
    if any(item.type == "user" for item in spec.linux.namespaces):
        return 0
    return sum(CLONE_FLAGS[kind] for kind in ("network", "ipc") if kind in new)


def _join(plan: Plan, joined: list[tuple[str, str, str]], new: int) -> list[tuple[str, str, int]]:
    """Joins by path. The right to it may exist only inside a user namespace, or only outside: those joins are tried on
    both sides. Returns what is left to try inside a new one."""
    by_type = {kind: (f"{kind}.namespace", path, pointer) for kind, path, pointer in joined}
    late: list[tuple[str, str, int]] = []
    for kind in JOIN_ORDER:
        if kind not in by_type:
            continue
        slot, path, pointer = by_type[kind]
        flag = CLONE_FLAGS[kind]
        plan.host.append(host("open_namespace", pointer, slot, flag, path))
        if kind == "user":
            plan.init.append(op("join", pointer, slot, flag, phase="join"))
            plan.init += [op("join_late", *item, phase="join") for item in late]
            return []
        put_off = "user" in by_type or (new & CLONE_FLAGS["user"] and kind not in ("pid", "time"))
        plan.init.append(op("join", pointer, slot, flag, phase="join", tolerate="later_ok" if put_off else ""))
        if put_off:
            late.append((pointer, slot, flag))
    return late


def _needs_opener(spec: Spec, facts: Facts) -> bool:
    """Whether sources of binds have to be opened by somebody else than init: its root is a user of the host's who may
    not reach them, nor map their ids. A rootless launcher is that same user."""
    if facts.euid != 0 or not any(item.type == "user" for item in spec.linux.namespaces):
        return False
    from pyrunc.sandbox.compile.mounts import is_bind

    return any(is_bind(mount) for mount in spec.mounts)


def _maps(plan: Plan, spec: Spec, facts: Facts) -> None:
    linux = spec.linux
    plan.init.append(sync("idmaps", "linux.uidMappings", "identity"))
    plan.host.append(host("await", "linux.uidMappings", 0))
    uids = id_lines(linux.uid_mappings)
    gids = id_lines(linux.gid_mappings)
    plan.host.append(host("id_maps", "linux.uidMappings", int(denies_setgroups(spec, facts)), uids, gids))
    plan.host.append(host("answer", "linux.uidMappings", 0))


def denies_setgroups(spec: Spec, facts: Facts) -> bool:
    """An unprivileged writer must give up setgroups(2) before the kernel takes its gid map (user_namespaces(7))."""
    if facts.euid == 0:
        return False
    own = [(entry.host_id, entry.size) for entry in spec.linux.gid_mappings] == [(facts.egid, 1)]
    return own or not facts.has_helpers


def set_groups(spec: Spec, facts: Facts) -> int:
    """Whether init sets its groups: 1, or 2 when only the user namespace that it joins knows whether it can, or 0.
    Raises Failure where the document asks for some and it may not."""
    user = next((item for item in spec.linux.namespaces if item.type == "user"), None)
    if keeps_groups(spec):
        return 0
    may = not facts.setgroups_denied and not (user and not user.path and denies_setgroups(spec, facts))
    wanted = spec.process is not None and spec.process.user.additional_gids
    if may and user and user.path and not wanted:
        return 2
    if not may and wanted:
        raise Failure(
            "set groups", "process.user.additionalGids",
            detail="cannot set any additional groups in a rootless container",
            hint="remove them, or map groups with newgidmap",
        )  # fmt: skip
    return int(may)


def keeps_groups(spec: Spec) -> bool:
    """crun's annotation: files that the caller reaches by a group of his stay in reach."""
    return spec.annotations.get("run.oci.keep_original_groups") == "1"


def id_lines(mappings: Iterable[IDMapping]) -> str:
    """As uid_map and gid_map are written."""
    text = "\n".join([f"{entry.container_id} {entry.host_id} {entry.size}" for entry in mappings])
    if not text:
        raise Failure("map users and groups", "linux.uidMappings", detail="a new user namespace needs both mappings")
    return text
