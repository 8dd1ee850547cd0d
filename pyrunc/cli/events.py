"""`pyrunc events`: what a container uses, and when its memory runs out, one JSON object a line."""

from __future__ import annotations

from pyrunc.cli.context import send, show
from pyrunc.cli.options import SWITCH, TEXT, Command, UsageError
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.events import Event

COMMAND = Command(
    "events",
    "show what a container uses at intervals, and when its memory runs out",
    "<container-id>",
    minimum=1,
    maximum=1,
    flags=(
        ("interval", TEXT, "time between two statistics, such as 100ms, 5s or 1m30s (default: 5s)"),
        ("stats", SWITCH, "show statistics once, and end"),
    ),
    details="""
Each line is a JSON object: {"type":"stats","id":...,"data":{...}} or {"type":"oom","id":...}. The command ends when the
container has.
""",
)

INTERVAL = 5.0  # not read from "5s": regular expressions cost as much as all else here
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def run(context: Context, given: Given) -> int:
    from pyrunc.events import events, statistics

    interval = duration("interval", given.text("interval")) if "interval" in given.values else INTERVAL
    if interval <= 0:
        raise PyruncError("duration interval must be greater than 0")
    id = given.arguments[0]
    if given.switch("stats"):
        show(line(statistics(context.root, id)))
        return 0
    for event in events(context.root, id, interval):
        show(line(event))
        if not send():
            break
    return 0


def line(event: Event) -> str:
    from pyrunc.specs.encode import encode

    return encode(event, compact=True) + "\n"


def duration(name: str, text: str) -> float:
    """Seconds of a duration in Go's form: numbers with units, such as 1h15m30.5s."""
    import re

    part = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
    if not re.fullmatch(rf"[+-]?(0|({part})+)", text, re.ASCII):
        message = f'invalid value "{text}" for flag -{name}: parse error'
        raise UsageError(message, f"Incorrect Usage: {message}")
    seconds = sum(float(number) * UNITS[unit] for number, unit in re.findall(part, text, re.ASCII))
    return -seconds if text.startswith("-") else seconds
