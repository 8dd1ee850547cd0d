"""One comparison: all runtimes take turns at each command, and its wall clock time is kept.

A command is started by posix_spawn with an almost empty environment and /dev/null as its streams, and waited for by
wait4: nothing of ours runs between the two clocks. Each container has a new id, host name, cgroup and environment
value, so that no cache of a runtime's can know the document.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from ..system import host
from ..system.document import new_document

LIFE = ("create", "start", "state", "exec", "kill", "delete")
OTHERS = ("list", "ps", "pause", "resume", "update", "events", "features", "spec")
STEPS = ("run", "run+seccomp", *LIFE, "sequence", "version", *OTHERS)
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

    def time(self, step: str, *args: str) -> float:
        argv = [*self.command, "--root", str(self.state), *args] if step != "version" else [*self.command, *args]
        null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
        begin = time.perf_counter()
        pid = os.posix_spawnp(argv[0], argv, ENVIRONMENT, file_actions=null)
        _, status, _ = os.wait4(pid, 0)
        taken = time.perf_counter() - begin
        self.times[step].append(taken)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise Wrong(f"{' '.join(argv)}: exit code {code}")
        return taken


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

    def make(self, identity: str, args: list[str], number: int, seccomp: dict | None = None) -> str:
        config = new_document(args, f"/{identity}")
        config["hostname"] = f"host-{number}"
        config["process"]["env"].append(f"ROUND={number}")
        config["root"] = {"path": str(self.rootfs), "readonly": True}
        if (host.CGROUPS / "cgroup.controllers").exists():
            # As `runc spec` writes it on such a host. Without it the mount of cgroup2 is that of the initial namespace
            # and sets the flags of the whole hierarchy anew: 10 ms for everybody on an idle machine.
            config["linux"]["namespaces"].append({"type": "cgroup"})
        if seccomp is not None:
            config["linux"]["seccomp"] = seccomp
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
        able = list(contenders)
        for number in range(-1, rounds):
            for contender in list(able):
                time.sleep(pause)
                try:
                    one(contender, number)
                except Wrong:
                    if number >= 0 or step not in OTHERS or contender is contenders[0]:
                        raise
                    able.remove(contender)  # crun knows no `events`
        for contender in contenders:
            del contender.times[step][: 1 if contender in able else None]

    def name(contender: Contender, number: int) -> str:
        return f"bench-{os.getpid()}-{contender.name}-{number + 1}"

    def run(contender: Contender, number: int) -> None:
        identity = name(contender, number) + "-run"
        bundle = bundles.make(identity, ["/bin/true"], number)
        contender.time("run", "run", "--bundle", bundle, identity)

    def run_with_profile(contender: Contender, number: int) -> None:
        identity = name(contender, number) + "-seccomp"
        bundle = bundles.make(identity, ["/bin/true"], number, profile())
        contender.time("run+seccomp", "run", "--bundle", bundle, identity)

    def create(contender: Contender, number: int, suffix: str = "") -> float:
        identity = name(contender, number) + suffix
        bundle = bundles.make(identity, ["/bin/sleep", "1000"], number)
        return contender.time("create", "create", "--pid-file", f"{bundle}/pid", "--bundle", bundle, identity)

    def kill(contender: Contender, number: int, suffix: str = "") -> float:
        identity = name(contender, number) + suffix
        taken = contender.time("kill", "kill", identity, "KILL")
        reap(f"{folder}/{identity}/pid")
        return taken

    def simple(step: str, *rest: str, flags: tuple[str, ...] = ()) -> Callable[[Contender, int], None]:
        return lambda contender, number: ignore(contender.time(step, step, *flags, name(contender, number), *rest))

    def sequence(contender: Contender, number: int) -> None:
        """The six commands of a life, one after the other; only their own times count."""
        kept = {step: len(contender.times[step]) for step in LIFE}
        identity = name(contender, number) + "-life"
        taken = create(contender, number, "-life")
        for step, rest in (("start", ()), ("state", ()), ("exec", ("/bin/true",))):
            time.sleep(pause)
            taken += contender.time(step, step, identity, *rest)
        time.sleep(pause)
        taken += kill(contender, number, "-life")
        time.sleep(pause)
        taken += contender.time("delete", "delete", identity)
        for step, count in kept.items():
            del contender.times[step][count:]
        contender.times["sequence"].append(taken)

    in_turn("run", run)
    if profile() is not None:
        in_turn("run+seccomp", run_with_profile)
    in_turn("create", lambda contender, number: ignore(create(contender, number)))
    in_turn("start", simple("start"))
    in_turn("state", simple("state"))
    in_turn("exec", simple("exec", "/bin/true"))
    in_turn("ps", simple("ps", flags=("--format", "json")))
    in_turn("pause", simple("pause"))
    in_turn("resume", simple("resume"))
    nothing = folder / "resources.json"  # on a hybrid machine's cgroup v2 there may be no controller to set
    nothing.write_text("{}")
    in_turn("update", simple("update", flags=("--resources", str(nothing))))
    in_turn("events", simple("events", flags=("--stats",)))
    in_turn("kill", lambda contender, number: ignore(kill(contender, number)))
    in_turn("delete", simple("delete"))
    in_turn("sequence", sequence)
    in_turn("version", lambda contender, number: ignore(contender.time("version", "--version")))
    in_turn("list", lambda contender, number: ignore(contender.time("list", "list", "--quiet")))
    in_turn("features", lambda contender, number: ignore(contender.time("features", "features")))

    def spec(contender: Contender, number: int) -> None:
        place = folder / f"spec-{contender.name}-{number + 1}"
        place.mkdir()
        contender.time("spec", "spec", "--bundle", str(place))

    in_turn("spec", spec)


def ignore(taken: float) -> None:
    """A time that has been kept already."""


@functools.cache
def profile() -> dict | None:
    """Docker's default profile as Debian packages it (about 400 calls), worked out for a container without additional
    capabilities; None where it is not installed."""
    path = Path("/usr/share/containers/seccomp.json")
    if not path.exists():
        return None
    text = json.loads(path.read_text())
    rules = []
    for rule in text["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if includes.get("caps") or (includes.get("arches") and "amd64" not in includes["arches"]):
            continue
        if excludes.get("arches") and "amd64" in excludes["arches"]:
            continue
        kept = {key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key)}
        rules.append(kept)
    return {
        "defaultAction": text["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }
