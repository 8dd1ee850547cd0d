"""podman, as Debian packages it, with pyrunc in runc's place: of root and of a user."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from .engines import Engines
from .image import NAME

pytestmark = pytest.mark.timeout(900)  # the first test may have to make the system

NONE = "--network=none"
MEMORY = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true"
PROCESSES = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; true"


@pytest.fixture(scope="module")
def podman(engines: Engines) -> list[str]:
    engines.ends(0, "podman", "load", "--quiet", "--input", engines.archive)
    return ["podman", "--runtime", engines.runtime]


@pytest.fixture
def box(engines: Engines, podman: list[str]) -> Iterator[str]:
    """The name of a container that runs."""
    engines.ends(0, *podman, "run", "--detach", "--name=box", NONE, "--memory=64m", NAME, "sleep", "300")
    yield "box"
    engines.ends(0, *podman, "rm", "--force", "--time=0", "--ignore", "box")


@pytest.fixture(scope="module")
def rootless(engines: Engines) -> list[str]:
    engines.ends(0, "podman", "load", "--quiet", "--input", engines.archive, user=True)
    return ["podman", "--runtime", engines.runtime]


def running(engines: Engines, podman: list[str], name: str) -> str:
    return engines.ends(0, *podman, "inspect", "--format={{.State.Status}}", name).strip()


@pytest.mark.parametrize("network", ["none", "host"])
def test_exit_code(engines: Engines, podman: list[str], network: str) -> None:
    """The command's exit code is podman's."""
    engines.ends(5, *podman, "run", "--rm", f"--network={network}", NAME, "sh", "-c", "exit 5")


def test_program_missing(engines: Engines, podman: list[str]) -> None:
    """A program that is not there is 127, one that cannot be executed 126: podman reads it off the runtime's words."""
    engines.ends(127, *podman, "run", "--rm", NONE, NAME, "no-such-program")
    engines.ends(126, *podman, "run", "--rm", NONE, NAME, "/etc/passwd")


def test_streams(engines: Engines, podman: list[str]) -> None:
    """Both streams of the container's arrive, and nothing else."""
    said = engines.ends(0, *podman, "run", "--rm", NONE, NAME, "sh", "-c", "echo out; echo err >&2")
    assert sorted(said.split()) == ["err", "out"]


def test_terminal(engines: Engines, podman: list[str]) -> None:
    """-t gives a terminal of the container's own, to run and to exec."""
    engines.prints("^/dev/pts/0", *podman, "run", "--rm", "-t", NONE, NAME, "tty")


def test_limits(engines: Engines, podman: list[str]) -> None:
    """--memory and --pids-limit are what the container's cgroup says."""
    limited = [*podman, "run", "--rm", NONE, "--memory=64m", "--pids-limit=20", NAME, "sh", "-c"]
    engines.prints("^67108864$", *limited, MEMORY)
    engines.prints("^20$", *limited, PROCESSES)


def test_init(engines: Engines, podman: list[str]) -> None:
    """--init: podman's small init is process 1, the command its child."""
    engines.prints("(init|catatonit)", *podman, "run", "--rm", "--init", NONE, NAME, "cat", "/proc/1/comm")


def test_privileges(engines: Engines, podman: list[str]) -> None:
    """--read-only, --cap-drop, no-new-privileges and the default filter hold."""
    script = "! touch /x 2>/dev/null && cat /proc/self/status"
    options = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
    said = engines.ends(0, *podman, "run", "--rm", NONE, *options, NAME, "sh", "-c", script)
    assert re.search(r"^CapBnd:\s0+$", said, re.MULTILINE), said
    assert re.search(r"^NoNewPrivs:\s1$", said, re.MULTILINE), said
    assert re.search(r"^Seccomp:\s2$", said, re.MULTILINE), said


def test_user(engines: Engines, podman: list[str]) -> None:
    """--user by name, with the groups that are asked for."""
    run = [*podman, "run", "--rm", NONE, "--user=person", "--group-add=2000", NAME]
    engines.prints(r"^uid=1000\(person\) gid=1000\(person\) groups=.*2000", *run, "id")


def test_user_namespace(engines: Engines, podman: list[str]) -> None:
    """--uidmap: root of the container is somebody else outside."""
    maps = ["--uidmap=0:100000:5000", "--gidmap=0:100000:5000"]
    engines.prints(r"^ +0 +100000 +5000", *podman, "run", "--rm", NONE, *maps, NAME, "cat", "/proc/self/uid_map")
    engines.prints("^0$", *podman, "run", "--rm", NONE, *maps, NAME, "id", "-u")


def test_no_cgroups(engines: Engines, podman: list[str]) -> None:
    """--cgroups=disabled: the container is where its engine was."""
    if engines.runtime.endswith("/runc"):
        pytest.skip("podman does not ask this of runc")
    engines.ends(4, *podman, "run", "--rm", NONE, "--cgroups=disabled", NAME, "sh", "-c", "exit 4")


def test_volume(engines: Engines, podman: list[str]) -> None:
    """A volume keeps what a container writes; read-only it takes nothing."""
    engines.ends(0, *podman, "run", "--rm", NONE, "--volume=kept:/v", NAME, "sh", "-c", "echo words >/v/file")
    engines.prints(
        "^words$", *podman, "run", "--rm", NONE, "--volume=kept:/v:ro", NAME, "sh", "-c",
        "cat /v/file; ! touch /v/x 2>/dev/null",
    )  # fmt: skip


def test_exec(engines: Engines, podman: list[str], box: str) -> None:
    """exec: exit code, environment, folder, user, terminal."""
    engines.ends(3, *podman, "exec", box, "sh", "-c", "exit 3")
    engines.ends(127, *podman, "exec", box, "no-such-program")
    words = ["--env=WORD=said", "--workdir=/home", "--user=person", box, "sh", "-c", 'echo "$WORD $PWD $(id -u)"']
    engines.prints("^said /home 1000$", *podman, "exec", *words)
    engines.prints("^/dev/pts/", *podman, "exec", "-t", box, "tty")


def test_life(engines: Engines, podman: list[str], box: str) -> None:
    """pause, unpause, stop, start again, kill, and what inspect says meanwhile."""
    engines.ends(0, *podman, "pause", box)
    assert running(engines, podman, box) == "paused"
    engines.ends(0, *podman, "unpause", box)
    assert running(engines, podman, box) == "running"
    engines.ends(0, *podman, "stop", "--time=1", box)
    assert running(engines, podman, box) == "exited"
    engines.ends(0, *podman, "start", box)
    engines.ends(0, *podman, "kill", box)
    engines.prints("^137$", *podman, "wait", box)
    engines.ends(0, *podman, "rm", box)


def test_restart(engines: Engines, podman: list[str], box: str) -> None:
    """restart: another process, the same container."""
    before = engines.ends(0, *podman, "inspect", "--format={{.State.Pid}}", box)
    engines.ends(0, *podman, "restart", "--time=0", box)
    assert engines.ends(0, *podman, "inspect", "--format={{.State.Pid}}", box) != before


def test_inspect(engines: Engines, podman: list[str], box: str) -> None:
    """podman knows the runtime by its name, and its version."""
    engines.prints(f"^{engines.runtime}$", *podman, "inspect", "--format={{.OCIRuntime}}", box)
    told = json.loads(engines.ends(0, *podman, "info", "--format=json"))["host"]["ociRuntime"]
    assert told["path"] == engines.runtime
    assert "spec: 1." in told["version"]


def test_top(engines: Engines, podman: list[str], box: str) -> None:
    """top and stats see the container's process."""
    engines.prints("sleep 300", *podman, "top", box)
    engines.prints("box", *podman, "stats", "--no-stream", box)


def test_logs(engines: Engines, podman: list[str]) -> None:
    """logs has what a detached container said; the container's end is noticed without anybody asking."""
    engines.ends(0, *podman, "run", "--detach", "--name=said", NONE, NAME, "sh", "-c", "echo a line; exit 6")
    engines.prints("^6$", *podman, "wait", "said")
    engines.prints("^a line$", *podman, "logs", "said")
    engines.ends(0, *podman, "rm", "said")


def test_health(engines: Engines, podman: list[str]) -> None:
    """A health check is an exec."""
    command = ["--name=well", "--health-cmd=test -e /tmp", "--health-interval=disable", NONE, NAME, "sleep", "300"]
    engines.ends(0, *podman, "run", "--detach", *command)
    engines.ends(0, *podman, "healthcheck", "run", "well")
    engines.ends(0, *podman, "rm", "--force", "--time=0", "well")


def test_pod(engines: Engines, podman: list[str]) -> None:
    """Containers that share namespaces with another one."""
    engines.ends(0, *podman, "run", "--detach", "--name=first", NONE, "--ipc=shareable", NAME, "sleep", "300")
    joined = ["--network=container:first", "--pid=container:first", "--ipc=container:first"]
    engines.prints("sleep 300", *podman, "run", "--rm", *joined, NAME, "ps", "-o", "args")
    engines.ends(0, *podman, "rm", "--force", "--time=0", "first")


def test_nothing_left(engines: Engines, podman: list[str]) -> None:
    """After the containers have gone the runtime knows none, and their cgroups have gone."""
    engines.ends(0, *podman, "rm", "--all", "--force", "--time=0")
    state = engines.ends(0, "sh", "-c", "ls -A /run/pyrunc /run/runc 2>/dev/null; true")
    assert not re.search("[0-9a-f]{64}", state), state
    time.sleep(0.2)
    groups = engines.ends(0, "sh", "-c", "find /sys/fs/cgroup -type d -path '*libpod-*'")
    assert groups == ""


def test_rootless(engines: Engines, rootless: list[str]) -> None:
    """A user's podman: exit codes, subordinate ids, the user's own id kept."""
    engines.ends(5, *rootless, "run", "--rm", NONE, NAME, "sh", "-c", "exit 5", user=True)
    engines.prints("^ +1 +300000 ", *rootless, "run", "--rm", NONE, NAME, "cat", "/proc/self/uid_map", user=True)
    kept = [*rootless, "run", "--rm", NONE, "--userns=keep-id", NAME]
    engines.prints("^4242$", *kept, "id", "-u", user=True)
    engines.prints("^/dev/pts/0", *rootless, "run", "--rm", "-t", NONE, NAME, "tty", user=True)


def test_rootless_life(engines: Engines, rootless: list[str]) -> None:
    """A user's container is entered, stopped, started again and removed."""
    engines.ends(0, *rootless, "run", "--detach", "--name=box", NONE, NAME, "sleep", "300", user=True)
    engines.ends(3, *rootless, "exec", "box", "sh", "-c", "exit 3", user=True)
    engines.ends(0, *rootless, "stop", "--time=1", "box", user=True)
    engines.ends(0, *rootless, "start", "box", user=True)
    engines.ends(0, *rootless, "rm", "--force", "--time=0", "box", user=True)
