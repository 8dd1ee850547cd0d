"""The command line as a process, run by this interpreter in the way the front in C runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
PROGRAM = (
    f"import sys; sys.path[:0] = [{str(TREE)!r}, *sys.argv.pop(1).split(':')]; from pyrunc.cli import main; main()"
)
PACKAGES = ":".join(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))


class Pyrunc:
    """`pyrunc("state", "box")` with a root folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"

    def __call__(self, *arguments: str, globals: tuple[str, ...] = (), **options: object) -> Done:
        return self.bare("--root", str(self.root), *globals, *arguments, **options)

    def bare(
        self, *arguments: str, env: dict[str, str] | None = None, stdin: str = "", remove: bool = False
    ) -> Done:
        """REMOVE: the working folder goes before the command starts."""
        interpreter = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, PACKAGES]
        done = subprocess.run(
            [*interpreter, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), **(env or {})},
            input=stdin,
            preexec_fn=(lambda: os.rmdir(self.folder)) if remove else None,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout, done.stderr)


class Done:
    """Exit code and both streams."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"exit {self.code}\n-- out\n{self.out}\n-- err\n{self.err}"

    def says(self, message: str) -> bool:
        """Whether this is a failure with one error record, whose message is this one in Go's quotes."""
        quoted = message.replace("\\", "\\\\").replace('"', '\\"')
        return self.code != 0 and f'level=error msg="{quoted}"\n' in self.err and self.err.count("level=error") == 1
