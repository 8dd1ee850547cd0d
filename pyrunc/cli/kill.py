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
    flags=(("all, a", SWITCH, ""),),  # as old engines call it
    details="""
[signal] is a name or a number: KILL, SIGKILL, 9, SIGRTMIN+3. Where a container shares the PID namespace of others,
SIGKILL ends all of its processes, not the first alone.

    # pyrunc kill box KILL
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import manage

    id, *signal = given.arguments
    manage.kill(context.root, id, signal[0] if signal else "TERM", everything=given.switch("all"))
    return 0
