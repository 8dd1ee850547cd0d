"""The arrow of imports: pyrunc -> pyrunc.sandbox -> pyrunc.specs, never back, and nobody's names in the way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# What each package may import of the three. Everybody may import itself.
MAY_IMPORT = {"pyrunc": {"pyrunc.sandbox", "pyrunc.specs"}, "sandbox": {"pyrunc.specs"}, "specs": set[str]()}
OWN_NAME = {"pyrunc": "pyrunc", "sandbox": "pyrunc.sandbox", "specs": "pyrunc.specs"}


def sources(tree: Path, package: str) -> list[Path]:
    """Python files of one of the three folders, without what is linked into it."""
    found = []
    for folder, folders, files in os.walk(tree / package):  # does not follow links
        folders[:] = [name for name in folders if not (Path(folder) / name).is_symlink()]
        found += [Path(folder) / name for name in files if name.endswith((".py", ".pyi"))]
    return sorted(found)


def imported(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """(line, name) of everything that a file imports, at its top, in functions and for types alone. `from a import b`
    may mean the module a.b, so it counts as that."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def room(name: str) -> str | None:
    """Which of the three packages a dotted name belongs to."""
    for package in ("pyrunc.sandbox", "pyrunc.specs", "pyrunc"):
        if name == package or name.startswith(package + "."):
            return package
    return None


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrow(tree: Path, package: str) -> None:
    """No file imports against the arrow."""
    wrong = []
    for path in sources(tree, package):
        inside = path.relative_to(tree / package).with_suffix("")
        module = ".".join([OWN_NAME[package], *inside.parts]).removesuffix(".__init__")
        for line, name in imported(path, module):
            there = room(name)
            if there is not None and there != OWN_NAME[package] and there not in MAY_IMPORT[package]:
                wrong.append(f"{path.relative_to(tree)}:{line} imports {name}")

    assert sources(tree, package), "nothing was looked at"
    assert wrong == []


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_bare_names(tree: Path, package: str) -> None:
    """Nobody imports the folders by their bare names, which are other people's."""
    wrong = [
        f"{path.relative_to(tree)}:{line}"
        for path in sources(tree, package)
        for line, name in imported(path, OWN_NAME[package] + ".x")
        if name.split(".")[0] in ("sandbox", "specs")
    ]

    assert wrong == []


def test_other_peoples_modules(tree: Path, tmp_path: Path) -> None:
    """A program with modules of its own called `sandbox` and `specs` can use pyrunc, and keeps them."""
    (tmp_path / "sandbox.py").write_text("MINE = 1\n")
    (tmp_path / "specs.py").write_text("MINE = 2\n")
    program = (
        "import sandbox, specs, pyrunc.sandbox.plan, pyrunc.specs.errors\n"
        "print(sandbox.MINE, specs.MINE, pyrunc.sandbox.plan.__name__, pyrunc.specs.errors.__name__)\n"
    )
    search = os.pathsep.join([str(tmp_path), str(tree)])

    out = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": search},
        check=True,
    ).stdout

    assert out.split() == ["1", "2", "pyrunc.sandbox.plan", "pyrunc.specs.errors"]


def test_library_is_light(tree: Path) -> None:
    """Importing pyrunc.sandbox loads neither the command line nor the image tool."""
    program = (
        "import sys, pyrunc.sandbox; print([m for m in sys.modules if m.startswith(('pyrunc.cli', 'pyrunc.image'))])"
    )

    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tree, check=True).stdout

    assert out.strip() == "[]"
