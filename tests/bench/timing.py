"""One comparison: all runtimes take turns at each command, and its wall clock time is kept.

A command is started by posix_spawn with an almost empty environment and /dev/null as its streams, and waited for by
wait4: nothing of ours runs between the two clocks. Each container has a new id, host name, cgroup and environment
value, so that no cache of a runtime's can know the document.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from ..system import host
from ..system.document import new_document

STEPS = ("run", "create", "start", "state", "exec", "kill", "delete", "version")
PAUSE = 0.15
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class Wrong(Exception):
    """A command had another exit code than it should: whatever was measured means nothing."""


class Contender:
    """A runtime with its state folder and the times of its commands, in seconds."""

    def __init__(self, name: str, command: str, folder: Path) -> None:
        self.name = name
        self.command = command.split()
        self.state = folder / "state" / name
        self.times: dict[str, list[float]] = {step: [] for step in STEPS}

    def time(self, step: str, *args: str) -> None:
        argv = [*self.command, "--root", str(self.state), *args] if step != "version" else [*self.command, *args]
        null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
        begin = time.perf_counter()
        pid = os.posix_spawnp(argv[0], argv, ENVIRONMENT, file_actions=null)
        _, status, _ = os.wait4(pid, 0)
        self.times[step].append(time.perf_counter() - begin)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise Wrong(f"{' '.join(argv)}: exit code {code}")


class Bundles:
    """A bundle for each container, all with one root: a static program and the mount points."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rootfs = folder / "rootfs"
        for name in ("bin", "proc", "dev", "sys"):
            (self.rootfs / name).mkdir(parents=True)
        busybox = shutil.which("busybox")
        if busybox is None:
            raise SystemExit("Debian's busybox-static is not installed")
        shutil.copy(busybox, self.rootfs / "bin/true")
        shutil.copy(busybox, self.rootfs / "bin/sleep")

    def make(self, identity: str, args: list[str], number: int) -> str:
        config = new_document(args, f"/{identity}")
        config["hostname"] = f"host-{number}"
        config["process"]["env"].append(f"ROUND={number}")
        config["root"] = {"path": str(self.rootfs), "readonly": True}
        if (host.CGROUPS / "cgroup.controllers").exists():
            # As `runc spec` writes it on such a host. Without it the mount of cgroup2 is that of the initial namespace
            # and sets the flags of the whole hierarchy anew: 10 ms for everybody on an idle machine.
            config["linux"]["namespaces"].append({"type": "cgroup"})
        bundle = self.folder / identity
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(config, indent=1))
        return str(bundle)


def reap(pid_file: str) -> None:
    """Waits for a container's process, which came to us as the subreaper."""
    pid = int(Path(pid_file).read_text())
    deadline = time.monotonic() + 5
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            raise Wrong(f"process {pid} does not end")
        time.sleep(0.001)


def compare(contenders: list[Contender], folder: Path, rounds: int, pause: float) -> None:
    """Each command A B C A B C ... for itself, so that `loop` means a loop of that command: the kernel makes the first
    of several changes of cgroups wait for a grace period, and those that follow at once not. One round warms up."""
    bundles = Bundles(folder)

    def in_turn(step: str, one: Callable[[Contender, int], None]) -> None:
        for number in range(-1, rounds):
            for contender in contenders:
                time.sleep(pause)
                one(contender, number)
        for contender in contenders:
            del contender.times[step][0]

    def name(contender: Contender, number: int) -> str:
        return f"bench-{os.getpid()}-{contender.name}-{number + 1}"

    def run(contender: Contender, number: int) -> None:
        identity = name(contender, number) + "-run"
        bundle = bundles.make(identity, ["/bin/true"], number)
        contender.time("run", "run", "--bundle", bundle, identity)

    def create(contender: Contender, number: int) -> None:
        identity = name(contender, number)
        bundle = bundles.make(identity, ["/bin/sleep", "1000"], number)
        contender.time("create", "create", "--pid-file", f"{bundle}/pid", "--bundle", bundle, identity)

    def kill(contender: Contender, number: int) -> None:
        identity = name(contender, number)
        contender.time("kill", "kill", identity, "KILL")
        reap(f"{folder}/{identity}/pid")

    in_turn("run", run)
    in_turn("create", create)
    in_turn("start", lambda contender, number: contender.time("start", "start", name(contender, number)))
    in_turn("state", lambda contender, number: contender.time("state", "state", name(contender, number)))
    in_turn("exec", lambda contender, number: contender.time("exec", "exec", name(contender, number), "/bin/true"))
    in_turn("kill", kill)
    in_turn("delete", lambda contender, number: contender.time("delete", "delete", name(contender, number)))
    in_turn("version", lambda contender, number: contender.time("version", "--version"))
