"""`pyrunc features`: what this build knows, as JSON (features.md of the runtime specification).

Must never look at the machine.
"""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command("features", "show what pyrunc supports, as JSON", maximum=0)


def run(context: Context, given: Given) -> int:
    from pyrunc.specs.encode import encode
    from pyrunc.specs.features import features
    from pyrunc.version import COMMIT, VERSION

    # The second is runc's name for it: engines ask there whether `checkpoint` is worth a try.
    annotations = {"io.pyrunc.version": VERSION, "org.opencontainers.runc.checkpoint.enabled": "true"}
    if COMMIT:
        annotations["io.pyrunc.commit"] = COMMIT
    show(encode(features(annotations), indent="    ") + "\n")
    return 0
