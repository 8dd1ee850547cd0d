"""The texts of help, made from the same tables that the parser reads. Loaded only when somebody asks."""

from __future__ import annotations

from pyrunc.cli.options import SWITCH
from pyrunc.cli.tables import global_flags, shown
from pyrunc.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.options import Command, Flag


def command_help(command: Command) -> str:
    """The help of one command."""
    options = "[command options] " if command.flags else ""
    parts = [f"NAME:\n   pyrunc {command.name} - {command.summary}"]
    parts.append(f"USAGE:\n   pyrunc {command.name} {options}{command.usage}".rstrip())
    if command.details:
        parts.append(f"DESCRIPTION:\n{_indent(command.details)}")
    parts.append(f"OPTIONS:\n{_flags(shown(command.flags))}")
    return "\n\n".join(parts) + "\n"


def program_help(commands: list[Command]) -> str:
    """The help of pyrunc itself."""
    width = max(len(command.name) for command in commands) + 2
    lines = [f"   {command.name:{width}}{command.summary}" for command in commands]
    lines.append(f"   {'help, h':{width}}show the help of pyrunc or of one command")
    return (
        "NAME:\n   pyrunc - Open Container Initiative runtime, and image tool\n\n"
        "USAGE:\n   pyrunc [global options] command [command options] [arguments...]\n\n"
        f"VERSION:\n   {VERSION}\n\n"
        "DESCRIPTION:\n"
        "   A bundle is a folder with a config.json and a root file system. To make one and run it:\n\n"
        "       # mkdir -p box/rootfs && cd box\n"
        "       # (fill rootfs)\n"
        "       # pyrunc spec\n"
        "       # pyrunc run box\n\n"
        "   To see beforehand what would be done: pyrunc plan\n\n"
        "COMMANDS:\n" + "\n".join(lines) + "\n\n"
        f"GLOBAL OPTIONS:\n{_flags(global_flags())}\n"
    )


def _flags(flags: list[Flag]) -> str:
    rows = [(_names(names, kind), sentence) for names, kind, sentence in flags]
    width = max(len(names) for names, _ in rows) + 2
    return "\n".join(f"   {names:{width}}{sentence}" for names, sentence in rows)


def _names(names: str, kind: str) -> str:
    value = "" if kind == SWITCH else " value"
    return ", ".join(("--" if len(name) > 1 else "-") + name + value for name in names.split(", "))


def _indent(text: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in text.strip().split("\n"))
