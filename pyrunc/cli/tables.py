"""Every command's own table, for whatever is generated from them: help, man pages, completion. Off the hot path."""

from __future__ import annotations

import re

from pyrunc.cli import COMMANDS, load
from pyrunc.cli.context import GLOBAL_FLAGS
from pyrunc.cli.images import NAMES
from pyrunc.cli.options import SWITCH, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.options import Flag

HELP_FLAG: Flag = ("help, h", SWITCH, "show help")
# A flag's values where its sentence names them: `form of errors: "text" or "json" (default: "text")`.
ALTERNATIVES = re.compile(r'"(\w+)"')


def commands() -> list[Command]:
    """All that can be called, in the order in which help shows them; those of `image` at the end."""
    return [load(name).COMMAND for name in (*COMMANDS, *(f"image {name}" for name in NAMES))]


def top() -> list[Command]:
    """Without those of `image`."""
    return [command for command in commands() if " " not in command.name]


def shown(flags: tuple[Flag, ...]) -> list[Flag]:
    """The flags that people should know of."""
    return [flag for flag in (*flags, HELP_FLAG) if flag[2]]


def global_flags() -> list[Flag]:
    return shown(GLOBAL_FLAGS)


def names(flag: Flag) -> list[str]:
    """`--bundle` and `-b`."""
    return [("--" if len(name) > 1 else "-") + name for name in flag[0].split(", ")]


def choices(flag: Flag) -> list[str]:
    """The words that a flag takes, as far as its sentence names them."""
    if flag[1] == SWITCH:
        return []
    return list(dict.fromkeys(ALTERNATIVES.findall(flag[2])))


def takes_id(command: Command) -> bool:
    """Whether its first argument is a container that exists."""
    return "<container-id>" in command.usage and command.name not in ("create", "run", "restore")
