"""`pyrunc run`: create and start in one, and by default wait for the end."""

from __future__ import annotations

from pyrunc.cli.create import CREATE_FLAGS, create_options
from pyrunc.cli.options import SWITCH, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "run",
    "create and start a container, and wait for its end",
    "<container-id>",
    minimum=1,
    maximum=1,
    flags=(
        *CREATE_FLAGS,
        ("detach, d", SWITCH, "return as soon as the container runs"),
        ("keep", SWITCH, "keep the container's state and cgroup when it has ended"),
        ("no-subreaper", SWITCH, "do not become the parent of orphans of the container"),
    ),
    prefix="pyrunc run failed: ",
    details="""
<container-id> is the name of the new container, which no other container of the same --root may have.
The exit code is that of the container's program, or 128 and the number of the signal that ended it.
""",
)


def run(context: Context, given: Given) -> int:
    options = create_options(context, given)

    from pyrunc import lifecycle

    return lifecycle.run(context.root, given.arguments[0], options.bundle, options)
