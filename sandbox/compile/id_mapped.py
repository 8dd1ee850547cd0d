"""Compiles the id mappings of a bind mount: which user namespace says whose files are whose. Seldom loaded.

config.md "Mounts", uidMappings; mount_setattr(2), MOUNT_ATTR_IDMAP. A mapping's containerID is the id in the file
system, its hostID what the host sees through the mount. Pure.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.namespaces import id_lines
from pyrunc.sandbox.plan import host
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Plan
    from pyrunc.specs.runtime import IDMapping, Mount, Spec

CLAUSE = "config.md#linux-mount-options"


def id_map(plan: Plan, spec: Spec, facts: Facts, mount: Mount, option: str) -> tuple[str, int]:
    """(slot of the user namespace, whether mounts below the source are mapped too) for `option`, "" when only the
    mappings ask for it."""
    if facts.euid != 0:
        raise Failure(
            f"map ids of {mount.source}", mount.pointer,
            detail="id-mapped mounts are not supported for rootless containers",
            hint="only the root of a file system's own user namespace may map its ids",
        )  # fmt: skip
    word, _, custom = option.partition("=")
    recursive = int(word == "ridmap")
    if custom:
        uids, gids = _custom(spec, mount, custom)
    elif mount.uid_mappings:
        uids, gids = id_lines(mount.uid_mappings), id_lines(mount.gid_mappings)
    elif any(item.type == "user" and item.path for item in spec.linux.namespaces):
        return "user.namespace", recursive
    else:
        uids, gids = id_lines(spec.linux.uid_mappings), id_lines(spec.linux.gid_mappings)
    return _namespace(plan, mount.pointer, uids, gids), recursive


def _namespace(plan: Plan, pointer: str, uids: str, gids: str) -> str:
    """The slot of a namespace with these maps, one for all mounts with the same."""
    launch = 0
    for index, item in enumerate(plan.host):
        if item.name == "map_namespace" and item.values[1:] == (uids, gids):
            return str(item.values[0])
        if item.name == "launch":
            launch = index
    slot = f"ids.{pointer}"
    plan.host.insert(launch, host("map_namespace", pointer, slot, uids, gids))
    return slot


def _custom(spec: Spec, mount: Mount, text: str) -> tuple[str, str]:
    """crun's `uids=0-1-10#10-11-10;gids=0-100-10`: first id in the file system, first on the host, how many."""
    found = {"uids": "", "gids": ""}
    for part in text.split(";"):
        key, _, ranges = part.partition("=")
        if key not in found or found[key] or not ranges:
            raise _malformed(mount, part)
        own = spec.linux.uid_mappings if key == "uids" else spec.linux.gid_mappings
        relative = ranges[0] == "@"
        lines = [_line(mount, item, own if relative else None) for item in ranges.lstrip("@").split("#")]
        found[key] = "\n".join(lines)
    if not (found["uids"] and found["gids"]):
        raise Invalid("id-mapped mounts must have both uid and gid mappings specified", mount.pointer, clause=CLAUSE)
    return found["uids"], found["gids"]


def _line(mount: Mount, text: str, own: tuple[IDMapping, ...] | None) -> str:
    """A line of uid_map; with `own` maps the second number is an id of the container."""
    numbers = text.split("-")
    if len(numbers) != 3 or not all(item.isascii() and item.isdigit() and len(item) < 11 for item in numbers):
        raise _malformed(mount, text)
    inside, outside, size = (int(item) for item in numbers)
    if not size or max(inside, outside) + size > 0xFFFFFFFF:
        raise _malformed(mount, text)
    if own is None:
        return f"{inside} {outside} {size}"
    for entry in own:
        if entry.container_id <= outside < entry.container_id + entry.size:
            return f"{inside} {outside - entry.container_id + entry.host_id} {size}"
    raise Invalid(f"the container's user namespace has no id {outside}", mount.pointer, clause=CLAUSE)


def _malformed(mount: Mount, text: str) -> Invalid:
    hint = "as in idmap=uids=0-1000-10#10-2000-1;gids=0-1000-10"
    return Invalid(f'"{text}" in the option idmap maps no ids', mount.pointer, hint, CLAUSE)
