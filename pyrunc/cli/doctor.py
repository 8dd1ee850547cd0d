"""`pyrunc doctor`: what this machine and this user can do for containers, and how to get what is missing."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import SWITCH, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.sandbox.doctor import Check

COMMAND = Command(
    "doctor",
    "show what this machine and this user can do for containers, and how to get what is missing",
    maximum=0,
    flags=(
        ("all", SWITCH, "also why each thing matters, where nothing is wrong with it"),
        ("json", SWITCH, "as JSON"),
    ),
    details="""
One row a thing: "ok", "limited" (containers run, but not every one) or "missing". Nothing is changed: what is tried is
made by a process of its own, and ends with it. Exit code 1: no container can be run.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc.sandbox.doctor import examine, healthy

    checks = examine()
    show(as_json(checks) if given.switch("json") else as_text(checks, given.switch("all")))
    return 0 if healthy(checks) else 1


def as_text(checks: list[Check], everything: bool) -> str:
    from pyrunc.sandbox.doctor import OK

    width = max(len(check.name) for check in checks) + 2
    lines = []
    for check in checks:
        lines.append(f"{check.result:<9}{check.name:<{width}}{check.found}")
        indent = " " * (9 + width)
        if everything or check.result != OK:
            lines.append(f"{indent}for: {check.why}")
        if check.remedy:
            lines.append(f"{indent}remedy: {check.remedy}")
    return "\n".join(lines) + "\n"


def as_json(checks: list[Check]) -> str:
    import json

    names = ("name", "result", "needed", "found", "why", "remedy")
    rows = [{name: getattr(check, name) for name in names} for check in checks]
    return json.dumps(rows, indent=2) + "\n"
