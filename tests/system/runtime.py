"""A runtime as its users see it: a command with arguments, an exit code and two streams. Nothing of its inside."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TIMEOUT = 20
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Result:
    """What a command gave back."""

    def __init__(self, args: list[str], status: int, out: str, err: str) -> None:
        self.args = args
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self) -> str:  # shown by a failing assertion
        return f"<{shlex.join(self.args)}: exit code {self.status}\n stdout: {self.out}\n stderr: {self.err}>"

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def default_command() -> str:
    return os.environ.get("PYRUNC_RUNTIME") or str(Path(sys.executable).parent / "pyrunc")


class Runtime:
    """The command under test with a state folder of its own. `kind` is pyrunc, runc or crun."""

    def __init__(self, command: str, state: Path) -> None:
        self.command = shlex.split(command)
        self.state = state
        names = [os.path.basename(word) for word in self.command]
        self.kind = "pyrunc" if "pyrunc" in names else names[0]

    @contextmanager
    def below(self, *words: str) -> Iterator[None]:
        """Commands are started by this one meanwhile, which becomes them: for their cwd and fds."""
        plain, self.command = self.command, [*words, *self.command]
        try:
            yield
        finally:
            self.command = plain

    def argv(self, *args: str) -> list[str]:
        return [*self.command, "--root", str(self.state), *args]

    def __call__(
        self,
        *args: str,
        stdin: str | None = None,
        cwd: Path | None = None,
        pass_fds: Iterable[int] = (),
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Runs a command to its end, with pipes as stdout and stderr."""
        argv = self.argv(*args)
        done = subprocess.run(
            argv, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
            errors="replace", timeout=TIMEOUT, cwd=cwd, pass_fds=tuple(pass_fds), env={**ENVIRONMENT, **(env or {})},
            check=False,
        )  # fmt: skip
        return Result(argv, done.returncode, done.stdout, done.stderr)

    def with_files(self, *args: str, output: Path, errors: Path, pass_fds: Iterable[int] = ()) -> Result:
        """Runs a command whose container outlives it and keeps its streams: files, where a pipe would never end."""
        argv = self.argv(*args)
        with output.open("ab") as out, errors.open("ab") as err:
            before = err.tell()
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=TIMEOUT, pass_fds=tuple(pass_fds),
                env=ENVIRONMENT, check=False,
            )  # fmt: skip
        return Result(argv, done.returncode, "", errors.read_bytes()[before:].decode(errors="replace"))

    def spawn(
        self,
        *args: str,
        stdin: int | IO[str] = subprocess.DEVNULL,
        stdout: int | IO[str] = subprocess.PIPE,
        stderr: int | IO[str] = subprocess.PIPE,
        new_session: bool = False,
    ) -> subprocess.Popen[str]:
        """Starts a command and leaves it running; the caller waits for it."""
        return subprocess.Popen(
            self.argv(*args), stdin=stdin, stdout=stdout, stderr=stderr, text=True, errors="replace", env=ENVIRONMENT,
            start_new_session=new_session,
        )  # fmt: skip
