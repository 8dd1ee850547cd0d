"""Builds of the source with a guard taken out. Everything happens in a copy: the product has no switch for it.

Objects of the launcher are compiled once; a build compiles the files that were changed, and links.
"""

from __future__ import annotations

import importlib
import os
import runpy
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from pathlib import Path
from typing import Any

PARTS = ("pyrunc", "sandbox", "specs")
SCRIPT = """#!{python} -ISXutf8
import sys

sys.path.insert(0, {copy!r})
from pyrunc.cli import main

main()
"""


def same_file(source: str, target: str) -> None:
    """A second name for a source, where that can be; programs are copied: attacks change them."""
    try:
        if not os.access(source, os.X_OK):
            return os.link(source, target)
    except OSError:
        pass
    shutil.copy2(source, target)


class Builds:
    """Copies of the tree below `folder`, each made when it is first asked for."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.tree = tree
        self.folder = folder
        self.done: dict[str, Path] = {}
        self.setup: dict[str, Any] = {}

    def command(self, name: str) -> Path:
        """The command of the build without the guards that `guards/<name>.py` takes out; "" is the source as it is."""
        if name not in self.done:
            taken = importlib.import_module(f"tests.attacks.guards.{name}").TAKEN_OUT if name else ()
            self.done[name] = self._build(name, taken)
        return self.done[name]

    def _build(self, name: str, taken: tuple[tuple[str, str, str], ...]) -> Path:
        copy = self.folder / (name or "plain")
        generated = shutil.ignore_patterns("hot.*", "*.o", "_*.c", "front")
        for part in PARTS:
            shutil.copytree(self.tree / part, copy / part, symlinks=True, ignore=generated, copy_function=same_file)
        for file, old, new in taken:
            text = (copy / file).read_text()
            assert text.count(old) == 1, f"the guard {name} is not where it was in {file}: {old!r}"
            (copy / file).unlink()
            (copy / file).write_text(text.replace(old, new))
        changed = [file for file, _, _ in taken if file.endswith(".c")]
        if changed:
            self._link(copy, changed)
        command = copy / "bin/pyrunc"
        command.parent.mkdir()
        command.write_text(SCRIPT.format(python=sys.executable, copy=str(copy)))
        command.chmod(0o755)
        return command

    # -- the launcher ----------------------------------------------------------------------------------------------

    def _compile(self, tree: Path, source: str, target: Path) -> None:
        flags = [*self.setup["CFLAGS"], *self._alone(), "-Isandbox/native", "-Wno-unused", "-c"]
        subprocess.run(["gcc", *flags, source, "-o", target], cwd=tree, check=True)

    def _alone(self) -> list[str]:
        return self.setup["FREESTANDING"] if os.uname().machine in ("x86_64", "aarch64") else []

    def _objects(self) -> dict[str, Path]:
        """source: object, of the launcher as it is."""
        if not self.setup:
            with chdir(self.tree):
                self.setup = runpy.run_path("setup.py")
        sources = [str(Path(file)) for file in self.setup["PROGRAMS"]["launcher"]]
        objects = {source: self.folder / "objects" / f"{Path(source).stem}.o" for source in sources}
        if not (self.folder / "objects").exists():
            (self.folder / "objects").mkdir()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda pair: self._compile(self.tree, *pair), objects.items()))
        return objects

    def _link(self, copy: Path, changed: list[str]) -> None:
        objects = dict(self._objects())
        for source in dict.fromkeys(changed):
            objects[source] = copy / f"{Path(source).stem}.o"
            self._compile(copy, source, objects[source])
        target = copy / "sandbox/native/bin/launcher"
        target.unlink()
        flags = [*self._alone(), *self.setup["LDFLAGS"], "-static"]
        subprocess.run(["gcc", *objects.values(), "-o", target, *flags], check=True)
