"""Whoever may write what Python caches of our source has root execute it. So no umask, an engine's 0 among them, makes
such a file or folder that is not its owner's alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from .builds import PARTS

NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def copy(tree: Path, tmp_path: Path) -> Path:
    for name in PARTS:
        shutil.copytree(tree / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def open_to_all(place: Path) -> list[str]:
    found = [path for path in (place, *place.rglob("*")) if not path.is_symlink() and path.stat().st_mode & 0o002]
    return sorted(str(path.relative_to(place)) for path in found)


def start(command: list[str], umask: int) -> None:
    for _ in range(2):
        done = subprocess.run([*command, "list", "-q"], capture_output=True, text=True, umask=umask, env={})
        assert done.returncode == 0, done.stderr


def own_interpreter(copy: Path) -> list[str]:
    program = copy / "sandbox/native/bin" / NAME
    if not program.exists():
        pytest.skip(f"{program.name} is not built: this Python came without a static library")
    paths = f"{copy}:{sysconfig.get_path('platlib')}"
    return [str(program), sys.executable, sys.base_prefix, NAME, paths, ""]


def ordinary_interpreter(copy: Path) -> list[str]:
    source = (copy / "sandbox/native/front/handover.c").read_text()
    literals = re.findall(r'"((?:[^"\\]|\\.)*)"', source.partition("program[] =")[2].partition(";\n\n")[0])
    program = "".join(literals).replace("\\n", "\n")
    paths = f"{copy}:{sysconfig.get_path('platlib')}"
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", program, paths, ""]


@pytest.mark.parametrize("interpreter", [own_interpreter, ordinary_interpreter])
def test_attack_fails(copy: Path, interpreter: Callable[[Path], list[str]]) -> None:
    """With a umask of 0 nothing is left that others may write; with an ordinary one the caches are there, closed."""
    command = interpreter(copy)

    start(command, 0)
    assert open_to_all(copy) == []

    start(command, 0o022)
    assert list((copy / "pyrunc/__pycache__").glob("hot.*")) != []
    assert open_to_all(copy) == []


def test_guard_is_what_stops_it(copy: Path) -> None:
    """Left to Python, the folder of the caches is anybody's under a umask of 0."""
    start([sys.executable, "-I", "-S", "-X", "utf8", "-c", WRITE_ANYWAY, str(copy)], 0)

    assert "pyrunc/__pycache__" in open_to_all(copy)


def test_the_file_itself(copy: Path) -> None:
    """Even where the caches are told to be written, the file with all modules is for its owner alone to write."""
    start([sys.executable, "-I", "-S", "-X", "utf8", "-c", WRITE_ANYWAY, str(copy)], 0)

    found = list((copy / "pyrunc/__pycache__").glob("hot.*"))
    assert found and {oct(hot.stat().st_mode) for hot in found} == {"0o100644"}


WRITE_ANYWAY = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from pyrunc.cli import perform
perform(sys.argv[1:])
from pyrunc.hot import refresh
refresh()
"""
