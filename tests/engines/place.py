"""A place for engines: the system of system.py in namespaces of its own, and commands that run in it. No tests here.

The source tree and its environment are there at their own paths, as copies that lie in memory where they are changed;
the network has no link to the machine; all cgroups lie below one folder. When the place is closed every process in it
ends, daemons too, and nothing is left.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..system import host
from .system import Missing

SCRIPT = Path(__file__).with_name("enter.sh")
NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
}
USER = {"HOME": "/home/engine", "USER": "engine", "XDG_RUNTIME_DIR": "/run/user/4242"}
AS_USER = ("setpriv", "--reuid=4242", "--regid=4242", "--init-groups", "--")


class Place:
    def __init__(self, system: Path, shown: list[Path], settings: dict[str, str]) -> None:
        """Starts the place's first process; `shown` are folders of the machine, `settings` variables of commands."""
        self.environment = {**ENVIRONMENT, **settings}
        self.name = f"pyrunc-engines-{os.getpid()}-{time.monotonic_ns()}"
        self.groups = groups(self.name)
        self.work = tempfile.mkdtemp(prefix="pyrunc-engines-")
        script = ["sh", str(SCRIPT), str(system), self.work, self.name, *map(str, shown)]
        self.keeper = subprocess.Popen(
            ["unshare", *NAMESPACES, "--propagation=private", "--fork", "--kill-child", *script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
            preexec_fn=self.join,
        )  # fmt: skip
        assert self.keeper.stdin is not None and self.keeper.stdout is not None and self.keeper.stderr is not None
        said = self.keeper.stdout.readline()
        if said == "begun\n":
            self.settle()
            self.keeper.stdin.write("\n")
            self.keeper.stdin.close()
            said = self.keeper.stdout.readline()
        if said != "ready\n":
            self.keeper.kill()
            why = self.keeper.stderr.read()
            self.close()
            raise RuntimeError(f"no place for engines: {why}")
        (self.first,) = host.children(self.keeper.pid)

    def settle(self) -> None:
        """With cgroup v2 a group that hands out controllers has no processes: ours go one further down."""
        if not (host.CGROUPS / "cgroup.procs").exists():
            return
        top = self.groups[0]
        self.groups = [top / "engines"]
        self.groups[0].mkdir()
        for pid in (top / "cgroup.procs").read_text().split():
            (self.groups[0] / "cgroup.procs").write_text(pid)
        for controller in (top / "cgroup.controllers").read_text().split():
            (top / "cgroup.subtree_control").write_text(f"+{controller}")

    def join(self) -> None:
        for group in self.groups:
            (group / "cgroup.procs").write_text("0")

    def start(self, command: list[str], log: Path, user: bool = False) -> subprocess.Popen[bytes]:
        """A command in the place that goes on; what it says is written to `log`."""
        environment = {**self.environment, **(USER if user else {})}
        words = ["nsenter", f"--target={self.first}", *NAMESPACES, "--", *(AS_USER if user else ()), *command]
        with log.open("wb") as out:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment,
                preexec_fn=self.join,
            )  # fmt: skip

    def run(self, *command: str, user: bool = False, limit: float = 60) -> tuple[int, str]:
        """Exit code and output of a command in the place. A file takes the output, because a container may keep its
        streams open for longer than its engine's command lives."""
        with tempfile.NamedTemporaryFile(prefix="pyrunc-engines-") as log:
            process = self.start(list(command), Path(log.name), user)
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = -9
            return code, Path(log.name).read_text(errors="replace")

    def close(self) -> None:
        self.keeper.kill()
        self.keeper.wait()
        os.rmdir(self.work)
        for _ in range(100):
            host.remove_cgroups(self.name)
            if not host.cgroup_folders(self.name):
                break
            time.sleep(0.05)


def groups(name: str) -> list[Path]:
    """A folder of that name in each hierarchy, in which limits can be set."""
    if (host.CGROUPS / "cgroup.procs").exists():
        for controller in (host.CGROUPS / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # as every runtime does on its way to a container's group
                (host.CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")
        handed = set((host.CGROUPS / "cgroup.subtree_control").read_text().split())
        if not {"memory", "pids"} <= handed:
            raise Missing(f"no controllers of cgroups can be handed on in {host.CGROUPS}")
        (host.CGROUPS / name).mkdir()
        return [host.CGROUPS / name]
    made = []
    for hierarchy in sorted(host.CGROUPS.iterdir()):
        if hierarchy.is_mount() and not hierarchy.is_symlink():
            folder = hierarchy / name
            folder.mkdir()
            for value in ("cpuset.cpus", "cpuset.mems"):
                if (folder / value).exists():
                    (folder / value).write_text((hierarchy / value).read_text())
            made.append(folder)
    return made


def shown(tree: Path) -> list[Path]:
    """What a command of this environment needs besides the system: the tree, the environment, a Python of its own."""
    folders = [tree]
    for folder in (Path(sys.prefix), Path(sys.base_prefix)):
        if folder != Path("/usr") and tree not in folder.parents:
            folders.append(folder)
    return folders
