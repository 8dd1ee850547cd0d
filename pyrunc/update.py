"""`update`: new limits for a container that lives, in force and remembered, or nothing changed at all.

What was in force before is written down in the container's folder (`update`) until all is done. Whoever finds that
note, because a command was killed between two writes, first goes back to what it says.
"""

from __future__ import annotations

import _signal
import os

from pyrunc.bundle import read_config
from pyrunc.manage import NOT_RUNNING, PATIENCE, lock, status_when_locked
from pyrunc.record import Record
from pyrunc.sandbox.cgroup.update import bring_back, carry_out, ignored, plan_update, previous
from pyrunc.specs.decode import Node, decode
from pyrunc.specs.encode import encode
from pyrunc.specs.errors import PyruncError
from pyrunc.specs.rules import check_update
from pyrunc.specs.runtime import Resources, decode_spec
from pyrunc.store import Folder, Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrunc.sandbox.cgroup.update import Write

    Json = dict[str, Any]

NOTE = "update"
# What can end us by a person's hand between two writes; SIGKILL is what the note is for.
SIGNALS = {_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP}


def update(root: str, id: str, resources: Json, rdt: Json | None = None) -> list[str]:
    """Changes the limits of the container to those of an object like linux.resources, and its share of caches and
    memory bandwidth to that of one like linux.intelRdt. What they leave out stays as it is; device rules always do.
    Returns warnings."""
    changes = {name: value for name, value in resources.items() if name != "devices"}
    check_update(Resources(Node(changes)))
    store = Store(root)
    folder = lock(store, id, PATIENCE)
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, SIGNALS)
    try:
        record = store.load(id)
        if status_when_locked(store, record) not in ("created", "running", "paused"):
            raise PyruncError(NOT_RUNNING)
        _finish(folder, record)
        config = decode(read_config(f"{folder.path}/config.json"))
        linux = config.setdefault("linux", {})
        linux["resources"] = merged(linux.get("resources") or {}, changes)
        asked = Resources(Node(with_memory(changes, linux["resources"])))
        check_update(asked)
        writes = plan_update(record.cgroups, asked)
        warnings = ignored(record.cgroups, asked)
        if record.unit is not None:
            from pyrunc.sandbox.systemd.update import fitting

            writes, more = fitting(writes, record.cgroups)
            warnings += more
        if rdt:
            writes.append(_schemata(config, rdt, id))
        _change(folder, record, writes, config)
        return warnings
    finally:
        folder.close()
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)


def _schemata(config: Json, rdt: Json, id: str) -> Write:
    """The write for new schemas of the container's group, which `config` gets. Texts are runc's."""
    from pyrunc.sandbox.resctrl import POINTER, groups, read_resctrl

    host = read_resctrl()
    if "l3CacheSchema" in rdt and not (host and host.caches):
        raise PyruncError("Intel RDT/CAT: l3 cache schema is not enabled")
    if "memBwSchema" in rdt and not (host and host.memory):
        raise PyruncError("Intel RDT/MBA: memory bandwidth schema is not enabled")
    if not config["linux"].get("intelRdt"):
        raise PyruncError("updating a non-existent Intel RDT configuration is not supported")
    config["linux"]["intelRdt"].update(rdt)
    asked = decode_spec(encode(config).encode()).linux.intel_rdt
    assert asked is not None
    where = groups(asked, id, host)
    return f"{where.path}/schemata", where.schemata, POINTER, ""


def _change(folder: Folder, record: Record, writes: list[Write], config: Json) -> None:
    old = previous(writes)
    with open(f"{folder.path}/config.json", encoding="utf-8", errors="surrogateescape") as file:
        note = {"limits": old, "config": file.read()}
    folder.write(NOTE, encode(note).encode())
    try:
        carry_out(writes)
        if record.unit is not None:
            from pyrunc.sandbox.systemd.update import tell

            tell(record.unit, record.cgroups, [(path, value) for path, value, _, _ in writes])
            carry_out(writes)
        folder.write("config.json", encode(config).encode())
    except BaseException:
        _finish(folder, record)
        raise
    os.unlink(NOTE, dir_fd=folder.fd)


def _finish(folder: Folder, record: Record) -> None:
    """Goes back to what an `update` that has not come to its end had found."""
    try:
        with open(f"{folder.path}/{NOTE}", "rb") as file:
            note = decode(file.read())
    except FileNotFoundError:
        return
    limits = [(path, value) for path, value in note["limits"]]
    if record.unit is not None:
        from pyrunc.sandbox.systemd.update import tell

        try:
            tell(record.unit, record.cgroups, limits)
        except PyruncError:
            pass  # what the files say is what holds
    bring_back(limits)
    folder.write("config.json", note["config"].encode("utf-8", "surrogateescape"))
    os.unlink(NOTE, dir_fd=folder.fd)


def merged(old: Json, new: Json) -> Json:
    """`old` with what `new` sets, at any depth. Entries of lists that have a key of their own (a device's number, a
    page size, an interface's name) replace their like."""
    found = dict(old)
    for name, value in new.items():
        if isinstance(value, dict):
            found[name] = merged(found.get(name) or {}, value)
        elif isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
            entries = {_key(entry): entry for entry in found.get(name) or []}
            for entry in value:
                entries[_key(entry)] = {**entries.get(_key(entry), {}), **entry}
            found[name] = list(entries.values())
        elif value is not None:
            found[name] = value
    return found


def _key(entry: Json) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in ("major", "minor", "pageSize", "name"))


def with_memory(changes: Json, now: Json) -> Json:
    """The changes with the other half of memory and swap, because `swap` counts both: the limit of one moves the
    other's file. Memory without limit frees swap, unless that is given too."""
    memory = changes.get("memory") or {}
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit is None and swap is None:
        return changes
    if limit == -1 and swap is None:
        now["memory"].pop("swap", None)
    both = {name: now["memory"][name] for name in ("limit", "swap") if name in now["memory"]}
    return {**changes, "memory": {**memory, **both}}
