"""`pyrunc ps`: the processes of a container, as `ps` shows them or as a JSON list of pids."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import TEXT, Command
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "ps",
    "show the processes of a container",
    "<container-id> [ps options]",
    minimum=1,
    stops=True,
    flags=(("format, f", TEXT, 'form of the list: "table" or "json" (default: "table")'),),
    details="""
[ps options] are those of ps(1), by default -ef. Their table must have a PID column, by which it is filtered.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import manage

    form = given.text("format", "table")
    if form not in ("table", "json"):
        raise PyruncError("invalid format option", hint="table or json")
    id, *options = given.arguments
    pids = manage.processes(context.root, id)
    if form == "json":
        show(f"[{','.join(map(str, pids))}]\n" if pids else "null\n")  # as Go writes a list that was never made
    else:
        show(only(pids, output_of_ps(options or ["-ef"])))
    return 0


def output_of_ps(options: list[str]) -> str:
    import subprocess

    try:
        done = subprocess.run(["ps", *options], stdin=subprocess.DEVNULL, capture_output=True, errors="surrogateescape")
    except OSError as error:
        raise Failure("execute ps", number=error.errno or 0) from None
    if done.returncode:
        raise PyruncError(f"ps failed with exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def only(pids: list[int], output: str) -> str:
    """The header and the lines of these processes."""
    header, *lines = output.splitlines()
    columns = header.split()
    if "PID" not in columns:
        raise PyruncError("couldn't find PID field in ps output")
    column = columns.index("PID")
    wanted = {str(pid) for pid in pids}
    kept = [line for line in lines if wanted.intersection(line.split()[column : column + 1])]
    return "\n".join([header, *kept]) + "\n"
