"""The programs and the path layer once more, built with the address and undefined behaviour sanitizers.

The same tests as elsewhere run in a process of their own, with the compiler's flags changed: any bad access ends a
program, and so fails its test. `make sanitize` runs this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
CHECKED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
# What a program keeps until it ends is no leak; the environment of many of these programs is empty, so it is built in.
OPTIONS = """const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }
"""
# These measure time and memory, which the sanitizers take much of.
TIMED = "not state_is_fast and not memory"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def library(name: str) -> str:
    """The compiler's own copy of a library, skipped by name where there is none."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(found):
        pytest.skip(f"needs gcc's {name}")
    return found


def passes(paths: list[str], environment: dict[str, str], chosen: str = "") -> None:
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
    command += ["-k", chosen] if chosen else []
    done = subprocess.run(command, cwd=TREE, env={**os.environ, **environment}, capture_output=True, text=True)

    assert "Sanitizer" not in done.stdout and "runtime error" not in done.stdout, done.stdout[-6000:]
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout


def test_front_and_waiter(tmp_path: Path, root: None) -> None:
    """What the front and the waiter do, they do without a bad access."""
    library("libasan.so")
    options = tmp_path / "options.c"
    options.write_text(OPTIONS)

    paths = [f"tests/native/test_{name}.py" for name in ("front", "front_actions", "waiter")]
    passes(paths, {"CFLAGS": f"{CHECKED} {options}"}, TIMED)


def test_launcher(root: None) -> None:
    """So does the launcher, in its build with a C library."""
    library("libasan.so")
    paths = sorted(str(path.relative_to(TREE)) for path in (TREE / "tests/sandbox/native").glob("test_launcher_*.py"))

    passes(paths, {"PYRUNC_SANITIZE": "1"})


def test_path_layer(tmp_path: Path, root: None) -> None:
    """And the path layer, by itself and as the module that Python uses."""
    preload = library("libasan.so")
    for part in ("pyrunc", "sandbox", "specs"):
        shutil.copytree(TREE / part, tmp_path / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    native = tmp_path / "sandbox/native"
    source = native / "_files.c"
    code = "import sys; from pyrunc.sandbox.native.build import files; files.emit_c_code(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-P", "-c", code, str(source)], env=environment, check=True, cwd=tmp_path)
    target = next(native.glob("_files.*.so"))
    target.unlink()
    flags = ["-std=gnu11", "-shared", "-fPIC", *CHECKED.split(), f"-I{native}", f"-I{sysconfig.get_path('include')}"]
    subprocess.run(["gcc", *flags, source, native / "path.c", "-o", target], check=True)

    checked = {"LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0", "CFLAGS": CHECKED, "PYTHONPATH": str(tmp_path)}
    passes(["tests/sandbox/native/test_path.py", "tests/sandbox/test_files.py"], checked)
