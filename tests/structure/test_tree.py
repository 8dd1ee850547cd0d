"""The tree itself: short files, docstrings that say what for, generated files fresh, nothing of one machine in it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

SOFT, HARD = 400, 450
# Tests are lists: nobody reads them from top to bottom.
TESTS = 700
# Files over the soft limit, each with its reason.
LONG: dict[str, str] = {}

TEXTS = (".py", ".pyi", ".c", ".h", ".md", ".toml", ".json", ".plan", ".cfg", ".txt", ".yml", "")
GENERATED = ("build", "dist", "__pycache__")


def files(tree: Path) -> list[Path]:
    """The tree's own files: none that are generated, hidden, or reached by a link."""
    found = []
    for folder, folders, names in os.walk(tree):
        folders[:] = [n for n in folders if n[0] != "." and n not in GENERATED and not (Path(folder) / n).is_symlink()]
        for name in names:
            path = Path(folder) / name
            generated = re.fullmatch(r"_\w+\.c", name) or "/native/bin/" in str(path) or ".egg-info/" in str(path)
            if path.suffix in TEXTS and not path.is_symlink() and not generated:
                found.append(path)
    return sorted(found)


def test_length(tree: Path) -> None:
    """No file of code is longer than one wants to read."""
    code = [path for path in files(tree) if path.suffix in (".py", ".c", ".h")]
    lengths = {str(path.relative_to(tree)): path.read_bytes().count(b"\n") for path in code}

    def limit(name: str) -> int:
        return TESTS if name.startswith("tests/") else HARD if name in LONG else SOFT

    assert len(lengths) > 30, "nothing was looked at"
    assert {name: length for name, length in lengths.items() if length > limit(name)} == {}
    assert [name for name in LONG if lengths.get(name, 0) <= SOFT] == [], "these need no exception any more"


def test_docstrings(tree: Path) -> None:
    """Every module says in its first lines what it is for."""
    silent = [
        str(path.relative_to(tree))
        for path in files(tree)
        if path.suffix == ".py" and path.stat().st_size > 0 and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_promises(tree: Path) -> None:
    """Every test says in its docstring which promise it checks."""
    silent = [
        f"{path.relative_to(tree)}:{node.lineno} {node.name}"
        for path in files(tree)
        if path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_no_machine(tree: Path) -> None:
    """No path of a developer's machine stands in any file."""
    paths = re.compile(r"(?<![\w.])/(work/(main|shared)|home/\w+/\w|Users/\w)")
    found = [
        f"{path.relative_to(tree)}:{number}: {line.strip()}"
        for path in files(tree)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if paths.search(line)
    ]

    assert found == []


def test_no_placeholders(tree: Path) -> None:
    """No file promises work for later: no stubs and no notes to oneself."""
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    found = [
        f"{path.relative_to(tree)}:{number}"
        for path in files(tree)
        if path.suffix in (".py", ".c", ".h") and path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]

    assert found == []


def test_launcher_length(tree: Path) -> None:
    """What acts inside a container is as few lines of C as the documents say."""
    sources = [path for path in (tree / "sandbox/native/launcher").iterdir() if path.suffix in (".c", ".h")]
    lines = sum(path.read_bytes().count(b"\n") for path in sources)

    assert 1_000 < lines < 4_000


def test_links(tree: Path) -> None:
    """The two links that make the three folders one package are there, and relative."""
    assert os.readlink(tree / "pyrunc/sandbox") == "../sandbox"
    assert os.readlink(tree / "pyrunc/specs") == "../specs"


def test_operations_header(tree: Path) -> None:
    """native/operations.h is what the table of operations makes today."""
    header = tree / "sandbox/native/operations.h"
    generator = [sys.executable, "sandbox/native/generate.py"]

    out = subprocess.run(generator, capture_output=True, text=True, cwd=tree, check=True).stdout

    assert out == header.read_text()
