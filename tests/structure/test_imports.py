"""The import budget: which modules each command of a container's life loads. docs/architecture.md says why."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.conftest import bundle, busybox, folder, machine, nothing_left  # noqa: F401
from tests.system.runtime import Result, Runtime

# The standard modules that the path of a start may load, beyond what the bare interpreter has anyway.
ALLOWED = {
    "posix", "os", "stat", "_stat", "posixpath", "genericpath", "_collections_abc",  # os, and what it is made of
    "_socket", "_struct", "_json", "fcntl", "select", "errno", "time", "gc", "marshal", "_signal",
    "__future__",  # asked for by every module of ours
}  # fmt: skip

Act = Callable[[Box], Result]
COMMANDS: dict[str, tuple[list[Act], Act]] = {
    "create": ([], lambda box: box.create()),
    "run": ([], lambda box: box.run()),
    "start": ([lambda box: box.create()], lambda box: box.start()),
    "state": ([lambda box: box.run_detached()], lambda box: box.runtime("state", box.id)),
    "exec": ([lambda box: box.sh("sleep 100").run_detached()], lambda box: box.exec("true")),
    "kill": ([lambda box: box.sh("sleep 100").run_detached()], lambda box: box.kill("KILL")),
    "delete": ([lambda box: box.create()], lambda box: box.delete()),
    "delete --force": ([lambda box: box.sh("sleep 100").run_detached()], lambda box: box.delete("--force")),
}


@pytest.fixture(scope="module")
def runtime(tree: Path, folder: Path) -> Runtime:  # noqa: F811
    """pyrunc without its front, started as the front does it, telling on stderr what it imports."""
    program = f"import sys; sys.path.insert(0, {str(tree)!r}); from pyrunc.cli import main; main()"
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-X", "importtime", "-c", program]
    return Runtime(shlex.join(command), folder / "state")


def modules(stderr: str) -> list[str]:
    return [line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")][1:]


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What the interpreter loads to do nothing."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-X", "importtime", "-c", "pass"]
    return set(modules(subprocess.run(command, capture_output=True, text=True, check=True).stderr))


@pytest.mark.parametrize("command", COMMANDS)
def test_budget(bundle: Callable[..., Box], bare: set[str], command: str) -> None:  # noqa: F811
    """A command loads no standard module but the allowed ones, and nothing of anybody else's."""
    before, act = COMMANDS[command]
    box = bundle("true")
    for step in before:
        assert step(box).ok

    result = act(box)

    assert result.status == 0, result
    loaded = modules(result.err)
    assert "pyrunc.cli" in loaded
    foreign = [name for name in loaded if name.split(".")[0] != "pyrunc" and name not in bare | ALLOWED]
    assert foreign == []
    assert not [
        name for name in loaded if name.startswith(("pyrunc.image", "pyrunc.specs.explain", "pyrunc.sandbox.describe"))
    ]
