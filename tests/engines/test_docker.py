"""Docker, as Debian packages it, with pyrunc as an added runtime."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .engines import Engines
from .image import NAME
from .test_podman import MEMORY, PROCESSES

pytestmark = pytest.mark.timeout(900)  # the first test may have to make the system

NONE = "--network=none"


@pytest.fixture(scope="module")
def docker(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon, and the command. Nothing in the place has a network, so it makes neither bridge nor firewall rules."""
    daemon = [
        "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--add-runtime=tested={engines.runtime}", "--default-runtime=tested",
    ]  # fmt: skip
    with engines.daemon(daemon, ["docker", "version"], tmp_path_factory.mktemp("docker") / "log"):
        engines.ends(0, "docker", "load", "--quiet", "--input", engines.archive)
        yield "docker"


@pytest.fixture
def box(engines: Engines, docker: str) -> Iterator[str]:
    """The name of a container that runs."""
    engines.ends(0, docker, "run", "--detach", "--name=box", NONE, "--memory=64m", NAME, "sleep", "300")
    yield "box"
    engines.ends(0, docker, "rm", "--force", "box")


def status(engines: Engines, docker: str, name: str) -> str:
    return engines.ends(0, docker, "inspect", "--format={{.State.Status}}", name).strip()


def capabilities() -> int:
    """What this process could give to another one."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"^CapBnd:\s*(\w+)", status, re.MULTILINE)[0], 16)


def test_runtime(engines: Engines, docker: str, box: str) -> None:
    """Docker's containers are the tested runtime's: its state folder has them."""
    engines.prints("^tested$", docker, "inspect", "--format={{.HostConfig.Runtime}}", box)
    number = engines.ends(0, docker, "inspect", "--format={{.Id}}", box).strip()
    listed = engines.ends(0, engines.runtime, "--root=/run/docker/runtime-runc/moby", "list", "--quiet")
    assert listed.split() == [number]


@pytest.mark.parametrize("network", ["none", "host"])
def test_exit_code(engines: Engines, docker: str, network: str) -> None:
    """The command's exit code is docker's."""
    engines.ends(6, docker, "run", "--rm", f"--network={network}", NAME, "sh", "-c", "exit 6")


def test_program_missing(engines: Engines, docker: str) -> None:
    """A program that is not there is 127, one that cannot be executed 126: Docker reads it off the runtime's words."""
    engines.ends(127, docker, "run", "--rm", NONE, NAME, "no-such-program")
    engines.ends(126, docker, "run", "--rm", NONE, NAME, "/etc/passwd")


def test_terminal(engines: Engines, docker: str) -> None:
    """-t gives a terminal of the container's own."""
    engines.prints("^/dev/pts/0", docker, "run", "--rm", "-t", NONE, NAME, "tty")


def test_limits(engines: Engines, docker: str) -> None:
    """--memory and --pids-limit are what the container's cgroup says."""
    limited = [docker, "run", "--rm", NONE, "--memory=64m", "--pids-limit=20", NAME, "sh", "-c"]
    engines.prints("^67108864$", *limited, MEMORY)
    engines.prints("^20$", *limited, PROCESSES)


def test_privileges(engines: Engines, docker: str) -> None:
    """--read-only, --cap-drop, no-new-privileges, --user and the default filter hold."""
    script = "! touch /x 2>/dev/null && id && cat /proc/self/status"
    options = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--user=person"]
    said = engines.ends(0, docker, "run", "--rm", NONE, *options, NAME, "sh", "-c", script)
    assert said.startswith("uid=1000(person) gid=1000(person)"), said
    assert re.search(r"^CapBnd:\s0+$", said, re.MULTILINE), said
    assert re.search(r"^NoNewPrivs:\s1$", said, re.MULTILINE), said
    assert re.search(r"^Seccomp:\s2$", said, re.MULTILINE), said


def test_privileged(engines: Engines, docker: str) -> None:
    """--privileged: all capabilities, no filter, the machine's devices."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    if capabilities() != (1 << last + 1) - 1:
        pytest.skip("this machine's root has not all capabilities to give")
    script = "test -c /dev/kmsg && cat /proc/self/status"
    said = engines.ends(0, docker, "run", "--rm", NONE, "--privileged", NAME, "sh", "-c", script)
    assert re.search(r"^Seccomp:\s0$", said, re.MULTILINE), said


def test_mounts(engines: Engines, docker: str) -> None:
    """A volume keeps what a container writes, a tmpfs has its size, /dev/shm too."""
    engines.ends(0, docker, "run", "--rm", NONE, "--volume=kept:/v", NAME, "sh", "-c", "echo words >/v/file")
    options = ["--volume=kept:/v:ro", "--tmpfs=/t:size=1m", "--shm-size=2m"]
    script = "cat /v/file; ! touch /v/x 2>/dev/null && grep -E '^(tmpfs /t|shm)' /proc/mounts"
    said = engines.ends(0, docker, "run", "--rm", NONE, *options, NAME, "sh", "-c", script)
    assert said.startswith("words\n"), said
    assert "size=1024k" in said, said
    assert "size=2048k" in said, said


def test_init(engines: Engines, docker: str) -> None:
    """--init: Docker's small init is process 1."""
    engines.prints("docker-init|tini", docker, "run", "--rm", "--init", NONE, NAME, "cat", "/proc/1/comm")


def test_exec(engines: Engines, docker: str, box: str) -> None:
    """exec: exit code, a program that is missing, environment, folder, user, terminal."""
    engines.ends(3, docker, "exec", box, "sh", "-c", "exit 3")
    code, said = engines.place.run(docker, "exec", box, "no-such-program")
    assert code in (126, 127), said  # 126 from Docker before 23, whatever the runtime says
    assert "executable file not found in $PATH" in said
    words = ["--env=WORD=said", "--workdir=/home", "--user=person", box, "sh", "-c", 'echo "$WORD $PWD $(id -u)"']
    engines.prints("^said /home 1000$", docker, "exec", *words)
    engines.prints("^/dev/pts/", "script", "-qec", f"{docker} exec -t {box} tty", "/dev/null")


def test_pause(engines: Engines, docker: str, box: str) -> None:
    """pause and unpause, as inspect sees them."""
    engines.ends(0, docker, "pause", box)
    assert status(engines, docker, box) == "paused"
    engines.ends(0, docker, "unpause", box)
    assert status(engines, docker, box) == "running"


def test_update(engines: Engines, docker: str, box: str) -> None:
    """update changes the limits of a container that runs."""
    engines.ends(0, docker, "update", "--memory=48m", "--memory-swap=48m", "--pids-limit=30", box)
    engines.prints("^50331648$", docker, "exec", box, "sh", "-c", MEMORY)
    engines.prints("^30$", docker, "exec", box, "sh", "-c", PROCESSES)


def test_top(engines: Engines, docker: str, box: str) -> None:
    """top and stats see the container's process."""
    engines.prints("box", docker, "stats", "--no-stream", box)
    engines.prints("sleep 300", docker, "top", box)


def test_ends(engines: Engines, docker: str, box: str) -> None:
    """restart, stop, start again, kill."""
    before = engines.ends(0, docker, "inspect", "--format={{.State.Pid}}", box)
    engines.ends(0, docker, "restart", "--time=0", box)
    assert engines.ends(0, docker, "inspect", "--format={{.State.Pid}}", box) != before
    engines.ends(0, docker, "stop", "--time=1", box)
    assert status(engines, docker, box) == "exited"
    engines.ends(0, docker, "start", box)
    engines.ends(0, docker, "kill", box)
    engines.prints("^137$", docker, "wait", box)


def test_memory_is_short(engines: Engines, docker: str) -> None:
    """A container that is killed for its memory is said to be."""
    command = ["--name=greedy", NONE, "--memory=16m", "--memory-swap=16m", NAME, "sh", "-c", "tail /dev/zero"]
    engines.ends(137, docker, "run", *command)
    engines.prints("^true$", docker, "inspect", "--format={{.State.OOMKilled}}", "greedy")
    engines.ends(0, docker, "rm", "greedy")


def test_logs(engines: Engines, docker: str) -> None:
    """logs has what a detached container said."""
    engines.ends(0, docker, "run", "--detach", "--name=said", NONE, NAME, "sh", "-c", "echo a line; exit 6")
    engines.prints("^6$", docker, "wait", "said")
    engines.prints("^a line$", docker, "logs", "said")
    engines.ends(0, docker, "rm", "said")


def test_build(engines: Engines, docker: str, tmp_path: Path) -> None:
    """The builder that needs no network runs its steps as containers of the default runtime."""
    recipe = f'FROM {NAME}\\nRUN id -u >/who\\nCMD ["cat", "/who"]\\n'
    build = f"mkdir -p /tmp/build && printf '{recipe}' >/tmp/build/Dockerfile && cd /tmp/build && "
    engines.ends(0, "sh", "-c", build + "DOCKER_BUILDKIT=0 docker build --network none --quiet -t localhost/built .")
    engines.prints("^0$", docker, "run", "--rm", NONE, "localhost/built")


def test_nothing_left(engines: Engines, docker: str) -> None:
    """After the containers have gone the runtime knows none."""
    said = engines.ends(0, engines.runtime, "--root=/run/docker/runtime-runc/moby", "list", "--quiet")
    assert said == ""
