"""`pyrunc image` without a command of its own: says which there are."""

from __future__ import annotations

from pyrunc.cli.options import Command, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given


def _commands() -> str:
    from pyrunc.cli import load
    from pyrunc.cli.images import NAMES

    width = max(map(len, NAMES)) + 2
    return "\n".join(f"{name:{width}}{load(f'image {name}').COMMAND.summary}" for name in NAMES)


COMMAND = Command("image", "work with OCI images", "<command>", details=_commands())


def run(context: Context, given: Given) -> NoReturn:
    raise UsageError('pyrunc: "image" requires a command', "Incorrect Usage.")
