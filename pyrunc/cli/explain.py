"""`pyrunc explain`: why a container did not start, or would not."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import SWITCH, TEXT, Command
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.sandbox.doctor import Check

COMMAND = Command(
    "explain",
    "show why a container did not start",
    "[container-id]",
    maximum=1,
    flags=(
        ("last", SWITCH, "the last failure of any container (default without a container-id)"),
        ("bundle, b", TEXT, "look over a bundle that has not been run yet; nothing is done to it"),
        ("config, f", TEXT, "the document, instead of the bundle's config.json"),
        ("json", SWITCH, "as JSON"),
    ),
    details="""
Of a failed create, run, start or exec: what went wrong, the steps of the plan around it, the part of config.json that
asked for it, what this machine has to say on the matter, and what may help. The last 16 failures of --root are known.

Of a bundle: everything that would keep it from starting, as far as that can be told without starting it. Exit code 0:
nothing was found.
""",
)

# What the doctor knows that belongs to a part of the document or to a kind of step.
RELATED = {
    "linux.namespaces": ("mount namespace", "pid namespace", "user namespace", "network namespace", "cgroup namespace"),
    "linux.uidMappings": ("user namespace", "id map helpers", "subuid", "subgid"),
    "linux.gidMappings": ("user namespace", "id map helpers", "subuid", "subgid"),
    "linux.timeOffsets": ("time namespace",),
    "linux.cgroupsPath": ("cgroups", "controllers", "own cgroups", "systemd"),
    "linux.resources": ("cgroups", "controllers", "own cgroups"),
    "linux.seccomp": ("seccomp", "seccomp agents", "seccomp flags"),
    "mounts": ("mount namespace", "file systems", "id-mapped mounts", "system call mount_setattr"),
    "process.apparmorProfile": ("apparmor",),
    "process.selinuxLabel": ("selinux",),
    "process.user": ("user namespace", "id map helpers"),
}


def run(context: Context, given: Given) -> int:
    if given.has("bundle") or given.has("config"):
        return of_bundle(given)
    from pyrunc.failed import notes

    id = given.arguments[0] if given.arguments else ""
    kept = [note for note in notes(context.root) if not id or note["id"] == id]
    if not kept:
        whose = f"of {id} " if id else ""
        raise PyruncError(
            f"no failure {whose}is known below {context.root}",
            hint="--root has to be the one that the command had; --bundle looks over a bundle",
        )
    note = {**kept[-1], "machine": related(kept[-1]["pointer"])}
    show(as_json(note) if given.switch("json") else as_text(note))
    return 0


def of_bundle(given: Given) -> int:
    from pyrunc.cli.create import real_folder
    from pyrunc.failed import value_at
    from pyrunc.options import CreateOptions
    from pyrunc.rehearse import rehearse

    bundle = real_folder(given.text("bundle") or ".")
    notes = []
    for error in rehearse(bundle, CreateOptions(bundle=bundle, config=given.text("config"))):
        value = "" if given.has("config") else value_at("", "", bundle, error.pointer)
        notes.append(
            {
                "message": str(error), "pointer": error.pointer, "hint": error.hint or "", "value": value,
                "machine": related(error.pointer),
            }
        )  # fmt: skip
    if given.switch("json"):
        show(as_json(notes))
    elif notes:
        show("\n".join(as_text(note) for note in notes))
    else:
        show("nothing was found that would keep it from starting\n")
    return 1 if notes else 0


def related(pointer: str) -> list[dict[str, str]]:
    """The doctor's rows on a place in the document."""
    names = {name for place, rows in RELATED.items() if pointer.startswith(place) for name in rows}
    if not names:
        return []
    from pyrunc.sandbox.doctor import examine

    return [row(check) for check in examine() if check.name in names]


def row(check: Check) -> dict[str, str]:
    return {"name": check.name, "result": check.result, "found": check.found, "remedy": check.remedy}


def as_text(note: dict[str, Any]) -> str:
    from pyrunc.specs.clauses import clause_of

    parts = []
    if note.get("command"):
        parts.append(f"{note['command']} of {note['id']} failed, {note['time']}")
    parts.append(note["message"])
    if note.get("steps"):
        total, *lines = note["steps"]
        parts.append(f"\nthe plan, {total}:\n" + "\n".join(f"  {line}" for line in lines))
    if note["pointer"]:
        value = "\n".join(f"  {line}" for line in note.get("value", "").splitlines())
        parts.append(f"\n{note['pointer']} [{clause_of(note['pointer'])}]" + (f":\n{value}" if value else ""))
    if note["machine"]:
        parts.append("\nthis machine:")
        for one in note["machine"]:
            remedy = f" (remedy: {one['remedy']})" if one["remedy"] else ""
            parts.append(f"  {one['result']:<9}{one['name']}: {one['found']}{remedy}")
    if note["hint"]:
        parts.append(f"\nhint: {note['hint']}")
    return "\n".join(parts) + "\n"


def as_json(value: object) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"
