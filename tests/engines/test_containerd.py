"""containerd, as Debian packages it, with pyrunc below runc's shim."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from .engines import Engines
from .image import NAME

pytestmark = pytest.mark.timeout(900)  # the first test may have to make the system


@pytest.fixture(scope="module")
def ctr(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A daemon, and the command with a namespace."""
    with engines.daemon(["containerd"], ["ctr", "version"], tmp_path_factory.mktemp("containerd") / "log"):
        command = ["ctr", "--namespace=tested"]
        engines.ends(0, *command, "images", "import", engines.archive)
        yield command


@pytest.fixture
def run(engines: Engines, ctr: list[str]) -> list[str]:
    return [*ctr, "run", f"--runc-binary={engines.runtime}"]


@pytest.fixture
def box(engines: Engines, ctr: list[str], run: list[str]) -> Iterator[str]:
    """The name of a container that runs."""
    limits = ["--memory-limit=67108864", "--cpus=0.5"]
    engines.ends(0, *run, "--detach", *limits, NAME, "box", "sleep", "300")
    yield "box"
    engines.place.run(*ctr, "task", "rm", "--force", "box")
    engines.ends(0, *ctr, "containers", "rm", "box")


def test_exit_code(engines: Engines, run: list[str]) -> None:
    """The command's exit code is ctr's."""
    engines.ends(7, *run, "--rm", NAME, "once", "sh", "-c", "exit 7")
    engines.ends(7, *run, "--rm", "--net-host", NAME, "once", "sh", "-c", "exit 7")


def test_whose(engines: Engines, box: str) -> None:
    """The container is the tested runtime's: its state folder has it."""
    listed = engines.ends(0, engines.runtime, "--root=/run/containerd/runc/tested", "list", "--quiet")
    assert listed.split() == [box]


def test_program_missing(engines: Engines, run: list[str]) -> None:
    """What the runtime says of a program that is not there is what ctr says."""
    said = engines.ends(1, *run, "--rm", NAME, "once", "no-such-program")
    assert "executable file not found in $PATH" in said


def test_terminal(engines: Engines, run: list[str]) -> None:
    """A terminal by a console socket; ctr itself wants one, so script gives it one."""
    command = " ".join([*run, "--rm", "--tty", NAME, "once", "tty"])
    engines.prints("/dev/pts/0", "script", "--quiet", "--return", "--command", command, "/dev/null")


def test_privileges(engines: Engines, run: list[str]) -> None:
    """A read-only root and the default filter."""
    script = "! touch /x 2>/dev/null && id && cat /proc/self/status"
    said = engines.ends(0, *run, "--rm", "--read-only", "--seccomp", NAME, "once", "sh", "-c", script)
    assert said.startswith("uid=0(root)"), said
    assert re.search(r"^Seccomp:\s2$", said, re.MULTILINE), said


def test_limits(engines: Engines, box: str) -> None:
    """--memory-limit is what the container's cgroup says."""
    places = "tested/box/memory.max memory/tested/box/memory.limit_in_bytes"
    engines.prints("^67108864$", "sh", "-c", f"cd /sys/fs/cgroup && cat {places} 2>/dev/null; true")


def test_exec(engines: Engines, ctr: list[str], box: str) -> None:
    """exec: exit code and folder."""
    engines.ends(3, *ctr, "task", "exec", "--exec-id=one", box, "sh", "-c", "exit 3")
    engines.prints("^/home$", *ctr, "task", "exec", "--exec-id=two", "--cwd=/home", box, "pwd")


def test_life(engines: Engines, ctr: list[str], box: str) -> None:
    """pause, resume, processes, metrics, kill, the exit code that the shim saw."""
    engines.prints("^box .*RUNNING", *ctr, "task", "ls")
    engines.ends(0, *ctr, "task", "pause", box)
    engines.prints("^box .*PAUSED", *ctr, "task", "ls")
    engines.ends(0, *ctr, "task", "resume", box)
    engines.prints("^[0-9]+ ", *ctr, "task", "ps", box)
    engines.prints("memory", *ctr, "task", "metrics", box)
    engines.ends(0, *ctr, "task", "kill", "--signal=KILL", box)
    for _ in range(50):
        if "STOPPED" in engines.ends(0, *ctr, "task", "ls"):
            break
        time.sleep(0.1)
    engines.prints("exit code 137", *ctr, "task", "rm", box)


def test_nothing_left(engines: Engines, ctr: list[str]) -> None:
    """After the containers have gone the runtime knows none, and their cgroups have gone."""
    assert engines.ends(0, engines.runtime, "--root=/run/containerd/runc/tested", "list", "--quiet") == ""
    assert engines.ends(0, "find", "/sys/fs/cgroup", "-type", "d", "-path", "*/tested/*") == ""
