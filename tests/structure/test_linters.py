"""Linters are tests: what they say fails the suite. A tool that is not installed is skipped by its name."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WARNINGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wswitch-enum", "-Werror", "-fsyntax-only"]
DEFINED = ['-DPYRUNC_VERSION="0"', '-DPYRUNC_SPEC="0"']  # what setup.py hands to the front


def c_files() -> list[str]:
    """Every C file that somebody wrote; the modules that cffi writes begin with an underscore. The interpreter needs
    Python's headers: tests/native/test_interpreter.py compiles it."""
    tree = Path(__file__).resolve().parents[2]
    found = []
    for top in ("sandbox", "tests"):
        for folder, _, names in os.walk(tree / top):
            found += [str((Path(folder) / n).relative_to(tree)) for n in names if n.endswith(".c") and n[0] != "_"]
    return sorted(set(found) - {"sandbox/native/interpreter.c"})


def complaints(tree: Path, *command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=tree)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def test_mypy(tree: Path) -> None:
    """Every type is right, strictly."""
    needs("mypy")

    assert complaints(tree, sys.executable, "-m", "mypy", "--strict") == ""


def test_ruff(tree: Path) -> None:
    """ruff finds nothing."""
    needs("ruff")

    assert complaints(tree, sys.executable, "-m", "ruff", "check", "--quiet", ".") == ""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("file", c_files())
def test_c(tree: Path, compiler: str, file: str) -> None:
    """Every C file compiles without a warning, each switch over an enum names all its members."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")

    assert complaints(tree, compiler, *WARNINGS, *DEFINED, "-Isandbox/native", file) == ""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the launcher has a C library here")
def test_launcher_alone(tree: Path, compiler: str, tmp_path: Path) -> None:
    """The launcher is built without a C library by either compiler: it takes no header that only a library has. It is
    as small as the documents say."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    launcher = tmp_path / "launcher"
    build = ["make", "-s", "-C", "sandbox/native", "-o", "operations.h", f"CC={compiler}", f"OUT={launcher}"]

    assert complaints(tree, *build) == ""
    assert launcher.stat().st_size < 50_000


def test_headers_with_macros(tree: Path, tmp_path: Path) -> None:
    """The launcher's own functions are compiled also where the C library's headers have macros of these names, as
    glibc's have from 2.43 on."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    macros = tmp_path / "macros.h"
    names = {"memchr": "a, b, c", "strchr": "a, b", "strrchr": "a, b", "strstr": "a, b"}
    lines = [f"#define {name}({given}) _Generic(0, default: {name})({given})" for name, given in names.items()]
    macros.write_text("\n".join(["#define _GNU_SOURCE", "#include <string.h>", *lines, ""]))
    flags = ["-std=gnu11", "-fsyntax-only", "-DFREESTANDING", "-ffreestanding", "-include", str(macros)]

    assert complaints(tree, "gcc", *flags, "-Isandbox/native", "sandbox/native/launcher/runtime.c") == ""
