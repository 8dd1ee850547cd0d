"""`pyrunc list`: the containers of a root folder, as a table or as JSON."""

from __future__ import annotations

import posix
from errno import ENOENT

from pyrunc.cli.context import show
from pyrunc.cli.options import SWITCH, TEXT, Command
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.manage import Container

COMMAND = Command(
    "list",
    "list the containers of --root",
    maximum=0,
    flags=(
        ("format, f", TEXT, 'form of the list: "table" or "json" (default: "table")'),
        ("quiet, q", SWITCH, "ids only"),
    ),
)

COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")


def run(context: Context, given: Given) -> int:
    from pyrunc import manage
    from pyrunc.record import state_json

    form = given.text("format", "table")
    if form not in ("table", "json"):
        raise PyruncError("invalid format option", hint="table or json")
    if context.root_given and not posix.access(context.root, posix.F_OK):
        raise Failure(f"list {context.root}", number=ENOENT, hint="--root names a folder that is not there")
    found, warnings = manage.containers(context.root)
    if given.switch("quiet"):
        show("".join(f"{one.record.id}\n" for one in found))
    elif form == "json":
        # What Go makes of an empty list; engines expect it.
        states = [state_json(one.record, one.status, indent="", owner=one.owner) for one in found]
        show(f"[{','.join(states)}]\n" if states else "null\n")
    else:
        show(table(found))
    for warning in warnings:
        context.log.warning(warning)
    return 0


def table(found: list[Container]) -> str:
    rows = [COLUMNS]
    for one in found:
        pid = 0 if one.status == "stopped" else one.record.pid
        rows.append((one.record.id, str(pid), one.status, one.record.bundle, one.record.created, one.owner))
    widths = [max(12, *(len(row[column]) + 3 for row in rows)) for column in range(len(COLUMNS) - 1)]
    return "".join(
        "".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)) + f"{row[-1]}\n" for row in rows
    )
