"""What a container costs from where people stand: `podman run` and `docker run` with pyrunc and with runc, in turns.

The engines are the lab's newer ones where there is a lab, with this tree installed for that system's Python, or else
those of the machine's own Debian (tests/engines/system.py). Podman and Docker take their own time whatever the runtime:
what is promised is that pyrunc leaves podman at most 0.65 and Docker at most 0.8 of the time that they take with runc.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from ..engines import system
from ..engines.engines import Engines, engines_in
from ..engines.image import NAME

INSTALLED = "/opt/pyrunc-bench"  # in the lab's system
DOCKERD = (
    "dockerd",
    "--bridge=none",
    "--iptables=false",
    "--ip6tables=false",
    "--exec-opt=native.cgroupdriver=cgroupfs",
)


def found(tree: Path) -> tuple[Path, str]:
    """The system with the engines, and where pyrunc is in it."""
    commands = Path(os.environ.get("PYRUNC_LAB_TOOLS") or tree.parent / "shared/lab")
    lab = Path(os.environ.get("PYRUNC_LAB") or "/var/tmp/pyrunc-lab") / "sid"
    if (commands / "install").exists() and (lab / "usr").exists():
        subprocess.run([commands / "install", "-t", INSTALLED, tree], stdout=subprocess.DEVNULL, check=True)
        return lab, f"{INSTALLED}/bin/pyrunc"
    return system.prepare(), str(Path(sys.executable).parent / "pyrunc")


def turns(engines: Engines, tree: Path, commands: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    script = tree / "tests/bench/turns.py"
    return dict(
        json.loads(engines.ends(0, "sh", "-c", f"echo {shlex.quote(json.dumps(commands))} | python3 {script} {rounds}"))
    )


def row(engine: str, times: dict[str, list[float]]) -> list[str]:
    medians = {name: statistics.median(values) for name, values in times.items()}
    figures = [f"{value * 1000:.1f}" for name in times for value in (min(times[name]), medians[name])]
    return [engine, *figures, f"{medians['pyrunc'] / medians['runc']:.2f}"]


def measure(tree: Path, rounds: int) -> tuple[list[str], list[list[str]]]:
    """Lines that say what was measured, and the table."""
    where, pyrunc = found(tree)
    rows = [
        ["command", *(f"{name} {what}" for name in ("pyrunc", "runc") for what in ("min", "median")), "pyrunc/runc"]
    ]
    with (
        tempfile.TemporaryDirectory(prefix="pyrunc-bench-") as folder,
        engines_in(where, tree, Path(folder)) as engines,
    ):
        runtimes = {"pyrunc": pyrunc, "runc": engines.path("runc")}
        versions = [engines.ends(0, program, "--version").splitlines()[0] for program in ("podman", "docker")]
        versions += [engines.ends(0, program, "--version").splitlines()[0] for program in runtimes.values()]

        engines.ends(0, "podman", "load", "--quiet", "--input", engines.archive)
        run = ["run", "--rm", "--network=none", NAME, "true"]
        commands = {name: ["podman", "--runtime", program, *run] for name, program in runtimes.items()}
        rows.append(row("podman run", turns(engines, tree, commands, rounds)))

        added = [f"--add-runtime=a-{name}={program}" for name, program in runtimes.items()]
        with engines.daemon([*DOCKERD, *added], ["docker", "version"], Path(folder) / "dockerd.log"):
            engines.ends(0, "docker", "load", "--quiet", "--input", engines.archive)
            commands = {name: ["docker", "run", f"--runtime=a-{name}", *run[1:]] for name in runtimes}
            rows.append(row("docker run", turns(engines, tree, commands, rounds)))
    return [f"- {version}" for version in versions], rows
