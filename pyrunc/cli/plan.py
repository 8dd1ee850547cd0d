"""`pyrunc plan`: shows what `create` would do, and does nothing."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.create import create_options
from pyrunc.cli.options import SWITCH, TEXT, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.sandbox.plan import Operation, Plan

COMMAND = Command(
    "plan",
    "show every step that create and start would take",
    "[container-id]",
    maximum=1,
    flags=(
        ("bundle, b", TEXT, "folder of the bundle (default: the current one)"),
        ("no-pivot", SWITCH, "as for create"),
        ("no-new-keyring", SWITCH, "as for create"),
        ("show-env", SWITCH, "with the values of environment variables, which are often secret"),
        ("json", SWITCH, "as JSON"),
    ),
    prefix="pyrunc plan failed: ",
    details="""
One line a step: the side that takes it (host, start: the launcher, init: the container's first process), the phase,
what is done, and the place in config.json that asks for it. Neither root nor a container is needed.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import lifecycle

    options = create_options(context, given)
    plan = lifecycle.plan_for(options.bundle, given.arguments[0] if given.arguments else "plan", options)
    reveal = given.switch("show-env")
    show(as_json(plan, reveal) if given.switch("json") else as_text(plan, reveal))
    for warning in plan.warnings:
        context.log.warning(warning)
    return 0


def as_text(plan: Plan, reveal: bool) -> str:
    from pyrunc.sandbox.describe import lines

    return "\n".join(lines(plan, reveal)) + "\n"


def as_json(plan: Plan, reveal: bool) -> str:
    import json

    sides = {"host": plan.host, "init": plan.init}
    shown = {side: [member(operation, reveal) for operation in operations] for side, operations in sides.items()}
    return json.dumps({**shown, "warnings": plan.warnings}, indent=2) + "\n"


def member(operation: Operation, reveal: bool) -> dict[str, object]:
    from pyrunc.sandbox.describe import describe
    from pyrunc.sandbox.operations import PHASES, TOLERANCES

    found: dict[str, object] = {"operation": operation.name, "what": describe(operation, reveal)}
    if operation.phase >= 0:
        found["phase"] = PHASES[operation.phase]
    if operation.pointer:
        found["pointer"] = operation.pointer
    if operation.tolerances:
        found["tolerances"] = [name for name, bit in TOLERANCES.items() if operation.tolerances & bit]
    return found
