"""`pyrunc kill`: sends a signal to a container."""

from __future__ import annotations

from pyrunc.cli.options import SWITCH, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "kill",
    "send a signal to the first process of a container (default: SIGTERM)",
    "<container-id> [signal]",
    minimum=1,
    maximum=2,
    flags=(
        ("all, a", SWITCH, "to every process of the container, which may have ended"),
        ("regex, r", SWITCH, "<container-id> is a regular expression: to every container whose id it is found in"),
    ),
    details="""
[signal] is a name or a number: KILL, SIGKILL, 9, SIGRTMIN+3. Where a container shares the PID namespace of others,
SIGKILL ends all of its processes, not the first alone.

    # pyrunc kill box KILL
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import manage

    id, *signal = given.arguments
    name = signal[0] if signal else "TERM"
    everything = given.switch("all")
    if given.switch("regex"):
        from pyrunc.cli.each import each

        each(context.root, id, lambda found: manage.kill(context.root, found, name, everything))
    else:
        manage.kill(context.root, id, name, everything)
    return 0
