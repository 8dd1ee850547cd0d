"""What is kept of a failed create, run, start or exec, so that `pyrunc explain` can tell more than one line.

Failed operations leave nothing of a container behind; this is one file of the root folder, `.@failures` (no id has such
a name): a JSON object a line, the newest last, at most KEPT of them. Loaded only after a failure. Must never raise, for
what failed is more important than the notes on it, and must keep no value of an environment variable.
"""

from __future__ import annotations

import fcntl
import json
import os
import time

from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrunc.sandbox.plan import Operation, Plan

    Note = dict[str, Any]

NAME = ".@failures"
KEPT = 16
LONGEST = 4000  # letters of one value
BEFORE, AFTER = 6, 3  # steps of the plan around the one that failed


def keep(root: str, command: str, id: str, bundle: str, error: PyruncError) -> None:
    """Adds a note on a failure. Where there is no root folder yet none is made: nothing was."""
    note: Note = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": command, "id": id, "bundle": bundle,
        "message": str(error)[:LONGEST], "pointer": error.pointer, "hint": error.hint or "",
    }  # fmt: skip
    try:
        note["value"] = value_at(root, id, bundle, error.pointer)
        note["steps"] = steps_around(error.plan, error.step)
        write(root, note)
    except Exception:
        pass


def write(root: str, note: Note) -> None:
    """Locked, because several commands may fail at once; replaced as a whole, because a reader may be at it."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        lines = [json.dumps(one) for one in [*notes(root), note][-KEPT:]]
        hidden = f"{NAME}~"
        fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("".join(f"{line}\n" for line in lines))
        os.rename(hidden, NAME, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(folder)


def notes(root: str) -> list[Note]:
    """All that is kept, the oldest first."""
    try:
        fd = os.open(f"{root}/{NAME}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError):
        return []


def value_at(root: str, id: str, bundle: str, pointer: str) -> str:
    """The part of the document that a pointer names, as JSON; "" when there is none or it is none of anybody's
    business."""
    if not pointer or pointer.startswith("process.env"):
        return ""
    from pyrunc.bundle import read_document

    for path in (f"{bundle}/config.json", f"{root}/{id}/config.json"):
        try:
            value = json.loads(read_document(path))  # never one without end, whatever has taken its place by now
        except (PyruncError, ValueError, RecursionError):
            continue
        for step in steps_of(pointer):
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return ""
        return json.dumps(without_environment(value), indent=2)[:LONGEST]
    return ""


def without_environment(value: Any) -> Any:
    """Processes and hooks have one."""
    if isinstance(value, dict):
        return {name: without_environment(item) for name, item in value.items() if name != "env"}
    return [without_environment(item) for item in value] if isinstance(value, list) else value


def steps_of(pointer: str) -> list[str | int]:
    """`mounts[1].options` and `annotations["a.b"]` as the keys that lead there."""
    found: list[str | int] = []
    rest = pointer
    while rest:
        if rest.startswith('["'):
            key, _, rest = rest[2:].partition('"]')
            found.append(key)
        elif rest.startswith("["):
            number, _, rest = rest[1:].partition("]")
            found.append(int(number))
        else:
            end = min((rest.index(mark, 1) for mark in ".[" if mark in rest[1:]), default=len(rest))
            found.append(rest[:end].lstrip("."))
            rest = rest[end:]
    return found


def steps_around(plan: Plan | None, failed: Operation | None) -> list[str]:
    """The plan's lines around the one that failed, which is marked; none when it did not come so far."""
    if plan is None or failed is None:
        return []
    from pyrunc.sandbox.describe import rows

    lines = rows(plan)
    at = next((index for index, (operation, _) in enumerate(lines) if operation is failed), -1)
    if at < 0:
        return []
    first = max(0, at - BEFORE)
    shown = [("> " if index == at else "  ") + text for index, (_, text) in enumerate(lines)]
    total = f"step {at + 1} of {len(lines)}"
    return [total, *(line[:300] for line in shown[first : at + 1 + AFTER])]
