"""`pyrunc top`: what the containers of --root use, as a table that refreshes itself, or once for a program."""

from __future__ import annotations

import os

from pyrunc.cli.context import send, show
from pyrunc.cli.events import duration
from pyrunc.cli.options import SWITCH, TEXT, Command
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.top import Row, Sample

COMMAND = Command(
    "top",
    "show what the containers of --root use at the moment",
    maximum=0,
    flags=(
        ("interval", TEXT, "time between two looks, such as 500ms or 2s (default: 2s)"),
        ("sort", TEXT, 'order: "cpu", "memory", "pids", "io" or "id" (default: "cpu")'),
        ("once", SWITCH, "show the table once, and end"),
        ("json", SWITCH, "show a JSON list once, and end"),
    ),
    details="""
CPU is in percent of one CPU, I/O in bytes a second, PRESSURE the share of the last ten seconds in which a process had
to wait for CPU, memory or I/O. Keys: c, m, p, i and n change the order, q ends. Without a terminal the table is shown
once.
""",
)

COLUMNS = ("ID", "STATUS", "CPU %", "MEMORY / LIMIT", "PIDS", "READ/S", "WRITE/S", "PRESSURE C/M/I")
UNITS = "KMGTP"
STDIN, STDOUT = 0, 1
KEYS = {"c": "cpu", "m": "memory", "p": "pids", "i": "io", "n": "id"}
# Terminal: another screen without a cursor, and back; to the first column of the first row; clear what is behind.
ENTER, LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"
HOME, CLEAR_LINE, CLEAR_BELOW = "\033[H", "\033[K", "\033[J"
BOLD, PLAIN = "\033[1m", "\033[0m"


def run(context: Context, given: Given) -> int:
    from pyrunc.top import SORTS, rows, take

    once = given.switch("once") or given.switch("json") or not (os.isatty(STDIN) and os.isatty(STDOUT))
    interval = duration("interval", given.text("interval", "500ms" if once else "2s"))
    sort = given.text("sort", "cpu")
    if sort not in SORTS:
        raise PyruncError(f"invalid order: {sort}", hint=" ".join(SORTS))
    if interval <= 0:
        raise PyruncError("duration interval must be greater than 0")
    if not once:
        return live(context.root, interval, sort)
    before = take(context.root)
    if before.stats:
        import time

        time.sleep(interval)
    now = take(context.root)
    found = rows(before, now, sort)
    show(as_json(found) if given.switch("json") else "".join(f"{line}\n" for line in table(found)))
    for warning in now.warnings:
        context.log.warning(warning)
    return 0


def live(root: str, interval: float, sort: str) -> int:
    """The table on a terminal, until somebody presses q. The terminal is left as it was found."""
    import termios
    import time
    import tty

    from pyrunc.top import rows, take

    settings = termios.tcgetattr(STDIN)
    show(ENTER)
    try:
        tty.setcbreak(STDIN)
        before = now = take(root)
        while True:
            draw(rows(before, now, sort), now, sort)
            key = pressed(now.at + interval - time.monotonic())
            if key == "q":
                return 0
            sort = KEYS.get(key, sort)
            if not key:
                before, now = now, take(root)
    except KeyboardInterrupt:
        return 0
    finally:
        termios.tcsetattr(STDIN, termios.TCSADRAIN, settings)
        show(LEAVE)
        send()


def pressed(seconds: float) -> str:
    """The key that was pressed within a time, or ""."""
    import select

    ready = select.select([STDIN], [], [], max(seconds, 0))[0]
    return (os.read(STDIN, 1).decode("ascii", "replace") or "q") if ready else ""  # nobody there any more: the end


def draw(found: list[Row], now: Sample, sort: str) -> None:
    import shutil

    size = shutil.get_terminal_size()  # 80 x 24 for a terminal that does not know
    running = sum(status == "running" for status in now.statuses.values())
    head = f"{len(now.statuses)} containers, {running} running, by {sort}"
    if now.warnings:
        head += f"; {len(now.warnings)} cannot be read"
    header, *lines = table(found)
    shown = [head, f"{BOLD}{header[: size.columns]}{PLAIN}", *[line[: size.columns] for line in lines]]
    show(HOME + f"{CLEAR_LINE}\n".join(shown[: max(size.lines - 1, 2)]) + CLEAR_LINE + CLEAR_BELOW)
    send()


def table(found: list[Row]) -> list[str]:
    """The header and a line for each container, aligned; a dash for what is not known."""
    cells = [COLUMNS, *[line(row) for row in found]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def line(row: Row) -> tuple[str, ...]:
    memory = "-" if row.memory is None else f"{size(row.memory)} / {size(row.memory_limit)}"
    pids = "-" if row.pids is None else str(row.pids) + (f"/{row.pids_limit}" if row.pids_limit else "")
    pressure = "/".join("-" if value is None else f"{value:.0f}" for value in row.pressure.values())
    cpu = "-" if row.cpu is None else f"{row.cpu:.1f}"
    return (row.id, row.status, cpu, memory, pids, size(row.read_rate), size(row.write_rate), pressure)


def size(count: float | None) -> str:
    """1.5M, with letters that stand for powers of 1024."""
    if count is None:
        return "-"
    power = 0
    while count >= 1024 and power < len(UNITS):
        count, power = count / 1024, power + 1
    return f"{count:.1f}{UNITS[power - 1]}" if power and count < 100 else f"{count:.0f}{UNITS[power - 1 : power]}"


def as_json(found: list[Row]) -> str:
    import json

    return json.dumps([row._asdict() for row in found]) + "\n"
