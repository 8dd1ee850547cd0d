"""python -m tests.bench: pyrunc beside runc and crun, command by command in turn.

--record                  adds the figures to docs/benchmarks.md
--runtime NAME=COMMAND    measures these instead (may be repeated); the first one is what the ratios are to
--rounds N                lives of a container for each runtime and figure (default 40)
--layout cgroup2|hybrid|both
--pace loop|paced|both
--engines                 measures `podman run` and `docker run` with pyrunc and with runc instead
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from ..system import host
from . import lab, machine
from .timing import PAUSE, STEPS, Contender, Wrong, compare

RECORD = Path(__file__).resolve().parents[2] / "docs/benchmarks.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--runtime", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--layout", choices=[*machine.LAYOUTS, "both"], default="both")
    parser.add_argument("--pace", choices=["loop", "paced", "both"], default="both")
    parser.add_argument("--engines", action="store_true")
    return parser.parse_args()


def runtimes(asked: list[str], folder: Path) -> dict[str, str]:
    """name -> command, the one that the ratios are about first."""
    if asked:
        return dict(item.split("=", 1) for item in asked)
    own = Path(sys.executable).parent / "pyrunc"
    return {**({"pyrunc": str(own)} if own.exists() else {}), **lab.others(folder)}


def version(command: str) -> str:
    out = subprocess.run([*command.split(), "--version"], capture_output=True, text=True, check=True).stdout
    return out.splitlines()[0]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def table(contenders: list[Contender]) -> list[list[str]]:
    """A row a command: for each runtime minimum and median in ms, then the ratio of the medians to each other one."""
    first, *rest = contenders
    rows = [
        [
            "command",
            *(f"{c.name} {what}" for c in contenders for what in ("min", "median")),
            *(f"{first.name}/{c.name}" for c in rest),
        ]
    ]
    for step in (step for step in STEPS if first.times[step]):
        medians = {c.name: statistics.median(c.times[step]) for c in contenders if c.times[step]}
        figures = []
        for c in contenders:
            times = c.times[step]
            figures += [milliseconds(min(times)), milliseconds(medians[c.name])] if times else ["-", "-"]
        ratios = [f"{medians[first.name] / medians[c.name]:.2f}" if c.name in medians else "-" for c in rest]
        rows.append([step, *figures, *ratios])
    return rows


def aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]


def markdown(rows: list[list[str]]) -> list[str]:
    lines = aligned(rows)
    return [lines[0], "|" + "|".join("---:" for _ in rows[0]) + "|", *lines[1:]]


def measure(layout: str, pace: str, commands: dict[str, str], rounds: int, folder: Path) -> list[str]:
    """One table with its heading, or why there is none. In a process of its own: it enters a mount namespace."""
    machine.enter(layout)
    left_out = ["crun"] if layout == "hybrid" and machine.kind() == "hybrid" else []  # it refuses to run there
    contenders = [Contender(name, command, folder) for name, command in commands.items() if name not in left_out]
    heading = f"{layout}, {'tight loop' if pace == 'loop' else f'{PAUSE * 1000:.0f} ms apart'}, {rounds} rounds, ms"
    if left_out:
        heading += " (crun left out: it does not run on hybrid cgroups)"
    work = Path(tempfile.mkdtemp(dir=folder))
    try:
        compare(contenders, work, rounds, 0 if pace == "loop" else PAUSE)
        return [f"### {heading}", "", *markdown(table(contenders)), ""]
    except Wrong as wrong:
        return [f"### {heading}", "", f"Thrown away: {wrong}", ""]
    finally:
        host.end_descendants()
        host.remove_cgroups(f"bench-{os.getpid()}-")


def in_a_child(layout: str, pace: str, commands: dict[str, str], rounds: int, folder: Path) -> list[str]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            out.write("\n".join(measure(layout, pace, commands, rounds, folder)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        text = lines.read()
    os.waitpid(pid, 0)
    return text.split("\n")


def below_engines(rounds: int) -> list[str]:
    """The section of what containers cost below engines; `uptime` is part of the figures."""
    from . import engines

    versions, rows = engines.measure(RECORD.parents[1], rounds)
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    heading = f"## {datetime.date.today()}, below engines"
    about = f"`run --rm --network=none`, {rounds} rounds, ms; load average at the end {load}"
    return [heading, "", machine.describe(), "", *versions, "", about, "", *markdown(rows)]


def main() -> None:
    options = arguments()
    if os.geteuid() != 0:
        raise SystemExit("needs root")
    if options.engines:
        lines = below_engines(options.rounds)
        print("\n".join(lines))
    else:
        lines = side_by_side(options)
    if options.record:
        with RECORD.open("a") as record:
            record.write("\n" + "\n".join(lines).rstrip() + "\n")


def side_by_side(options: argparse.Namespace) -> list[str]:
    """The sections of pyrunc beside runc and crun, printed as they come."""
    folder = Path(tempfile.mkdtemp(prefix="pyrunc-bench-"))
    try:
        commands = runtimes(options.runtime, folder)
        lines = [f"## {datetime.date.today()}", "", machine.describe(), ""]
        lines += [*(f"- {name}: {version(command)}" for name, command in commands.items()), ""]
        print("\n".join(lines), flush=True)
        for layout in machine.LAYOUTS if options.layout == "both" else (options.layout,):
            if not machine.available(layout):
                print(f"no {layout} on this machine\n")
                continue
            for pace in ("loop", "paced") if options.pace == "both" else (options.pace,):
                part = in_a_child(layout, pace, commands, options.rounds, folder)
                print("\n".join(part), flush=True)
                lines += part
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return lines


main()
