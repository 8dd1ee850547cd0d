"""`pyrunc validate`: every problem of a config.json at once, each with its place and the sentence that it breaks."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given
    from pyrunc.specs.errors import Invalid

COMMAND = Command(
    "validate",
    "check a config.json",
    "[bundle or file]",
    maximum=1,
    details="""
Without an argument, the one of the bundle in the current folder. Exit code 0: no problem.
""",
)


def run(context: Context, given: Given) -> int:
    import os

    from pyrunc.bundle import read_config
    from pyrunc.specs.explain import explain

    path = given.arguments[0] if given.arguments else "."
    config = read_config(os.path.join(path, "config.json") if os.path.isdir(path) else path)
    found = explain(config, "runtime-config")
    show("".join(f"{line(problem)}\n" for problem in found))
    return 1 if found else 0


def line(problem: Invalid) -> str:
    """`pointer: what is wrong [clause]`."""
    place = f"{problem.pointer}: " if problem.pointer else ""
    clause = f" [{problem.clause}]" if problem.clause else ""
    return f"{place}{problem.message}{clause}"
