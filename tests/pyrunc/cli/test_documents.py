"""What is generated from the commands' tables: man pages and completion scripts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pyrunc.cli import tables
from pyrunc.cli.man import pages
from pyrunc.cli.shells import SHELLS

from ..command import Pyrunc
from ..conftest import Keep

# Completes a command line: the words as given, the last one unfinished.
ASK = """
source /dev/stdin <<< "$SCRIPT"
pyrunc() { "$INTERPRETER" "$@"; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_pyrunc
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words: str, ids: str = "") -> list[str]:
    """What bash offers; `pyrunc list -q` is a program that prints these ids and its own arguments' root."""
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", "pyrunc", *words],
        env={"SCRIPT": SHELLS["bash"](), "INTERPRETER": ids, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_pages_name_everything() -> None:
    """Each command has a page with every flag of its table, and pyrunc(8) names them all."""
    found = pages()
    for command in tables.commands():
        name = f"pyrunc-{command.name.replace(' ', '-')}"
        page = found[f"{name}.8"].replace("\\-", "-")
        assert all(f"\\fB{one}\\fR" in page for flag in tables.shown(command.flags) for one in tables.names(flag))
        assert name in found["pyrunc.8"].replace("\\-", "-")
    assert len(found) == len(tables.commands()) + 1


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_pages_are_man() -> None:
    """groff has nothing to complain of."""
    text = "".join(pages().values())

    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=text, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


def test_help_man(pyrunc: Pyrunc) -> None:
    """`help --man` prints a page, and for no command but those that there are."""
    assert pyrunc("help", "--man").out == pages()["pyrunc.8"]
    assert pyrunc("help", "--man", "run").out == pages()["pyrunc-run.8"]
    assert pyrunc("help", "--man", "foo").says("No help topic for 'foo'")


@pytest.mark.parametrize("shell", SHELLS)
def test_script(pyrunc: Pyrunc, shell: str) -> None:
    """A script names every command and every flag, that of bash those of `image` too, and its own shell takes it."""
    script = pyrunc("completion", shell).out

    assert script == SHELLS[shell]()
    for command in tables.commands() if shell == "bash" else tables.top():
        assert command.name in script
        long = [name for flag in command.flags if flag[2] for name in flag[0].split(", ") if len(name) > 1]
        assert [name for name in long if name not in script] == []
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_unknown_shell(pyrunc: Pyrunc) -> None:
    """Another shell is an error that says which there are."""
    done = pyrunc("completion", "csh")

    assert done.says("no completion for csh")
    assert "hint: bash or zsh or fish" in done.err


def test_bash_commands() -> None:
    """A command is completed behind global flags and their values, whatever those look like."""
    assert complete("ru") == ["run"]
    assert complete("--root", "run", "--debug", "pau") == ["pause"]


def test_bash_flags() -> None:
    """Flags are those of the command; a value is one of those that the flag knows."""
    assert complete("run", "--det") == ["--detach"]
    assert complete("start", "--det") == []
    assert complete("--log-f") == ["--log-format"]
    assert complete("--log-format", "j") == ["json"]
    assert complete("list", "--format", "") == ["table", "json"]


def test_bash_ids(tmp_path: Path, pyrunc: Pyrunc, keep: Keep) -> None:
    """Ids are those of the root folder that the line names; behind an id comes a signal."""
    keep("one")
    keep("other")
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\n[ "$*" = "--root {pyrunc.root} list -q" ] && ls {pyrunc.root}\n')
    program.chmod(0o755)

    assert complete("--root", str(pyrunc.root), "state", "o", ids=str(program)) == ["one", "other"]
    assert complete("--root", str(pyrunc.root), "kill", "one", "US", ids=str(program)) == ["USR1", "USR2"]
    assert complete("run", "o", ids=str(program)) == []


def test_bash_files(tmp_path: Path) -> None:
    """Where a flag takes anything, files are offered."""
    (tmp_path / "bundle").mkdir()

    assert complete("run", "--bundle", f"{tmp_path}/bun") == [f"{tmp_path}/bundle"]
