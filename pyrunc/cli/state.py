"""`pyrunc state`: what is known of one container, as JSON."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import Command
from pyrunc.record import state_json
from pyrunc.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "state",
    "show the state of a container",
    "<container-id>",
    minimum=1,
    maximum=1,
)


def run(context: Context, given: Given) -> int:
    store = Store(context.root)
    record = store.load(given.arguments[0])
    show(state_json(record, store.status(record)))
    return 0
