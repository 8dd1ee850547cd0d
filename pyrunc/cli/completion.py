"""`pyrunc completion`: what bash, zsh and fish need to complete commands, flags, ids and signals."""

from __future__ import annotations

from pyrunc.cli.context import show
from pyrunc.cli.options import Command
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "completion",
    "write the completion script of a shell: bash, zsh or fish",
    "<shell>",
    minimum=1,
    maximum=1,
    details="""
Ids of containers are asked for when they are needed; everything else is in the script.

    # source <(pyrunc completion bash)
    # pyrunc completion zsh > /usr/local/share/zsh/site-functions/_pyrunc
    # pyrunc completion fish > ~/.config/fish/completions/pyrunc.fish
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc.cli.shells import SHELLS

    shell = given.arguments[0]
    if shell not in SHELLS:
        raise PyruncError(f"no completion for {shell}", hint=" or ".join(SHELLS))
    show(SHELLS[shell]())
    return 0
