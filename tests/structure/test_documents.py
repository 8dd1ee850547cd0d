"""README.md and docs/architecture.md stay true: the commands, flags and files that they name exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from pyrunc.cli import COMMANDS
from pyrunc.cli.context import GLOBAL_FLAGS
from pyrunc.cli.images import NAMES
from pyrunc.cli.options import parse
from pyrunc.cli.tables import commands

TYPED = re.compile(r"^    [$#] pyrunc (.*)$", re.MULTILINE)
FILE = re.compile(r"(?<![\w/.])((?:[a-z_]+/)*[a-z_]+\.(?:py|c|h))\b")


def test_typed_commands(tree: Path) -> None:
    """What README.md shows as typed is a command with flags that it has, and not too many or too few arguments."""
    known = {command.name: command for command in commands()}
    typed = TYPED.findall((tree / "README.md").read_text())
    for line in typed:
        given = parse(GLOBAL_FLAGS, shlex.split(line, comments=True), stops=True)
        name, *rest = given.arguments
        if name == "image":
            name, rest = f"image {rest[0]}", rest[1:]
        command = known[name]
        count = len(parse(command.flags, rest, command.stops).arguments)

        assert command.minimum <= count <= (command.maximum or count), line
    assert len(typed) > 8


def test_every_command_is_named(tree: Path) -> None:
    """README.md names every command."""
    text = (tree / "README.md").read_text()
    single = set(COMMANDS) - {"image"}

    assert [name for name in sorted(single) if not re.search(rf"`{name}`|pyrunc {name}\b", text)] == []
    assert [name for name in NAMES if f"`{name}`" not in text and f"`image {name}" not in text] == []


def test_named_files(tree: Path) -> None:
    """Each file that docs/architecture.md names is there."""
    text = (tree / "docs/architecture.md").read_text()
    homes = [tree, *(tree / name for name in ("pyrunc", "pyrunc/image", "sandbox", "sandbox/native", "specs"))]
    homes += [tree / "sandbox/native/launcher"]
    named = sorted(set(FILE.findall(text)))

    assert len(named) > 20
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []
