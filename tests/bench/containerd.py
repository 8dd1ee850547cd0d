"""A containerd of its own for a moment: Debian's, out of PATH or out of the system that tests/engines has made."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.engines import system

# Nothing but the store and the snapshots: no socket anywhere else, no network, no other containerd's folders.
CONFIG = """\
version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
[grpc]
address = "{place}/socket"
[ttrpc]
address = "{place}/socket.ttrpc"
"""
TICKS = os.sysconf("SC_CLK_TCK")


def program(name: str) -> str | None:
    """Where Debian's program NAME is, None when it is nowhere."""
    return shutil.which(name) or shutil.which(name, path=system.folder() / "usr/bin")


def imported(place: Path, archive: Path) -> tuple[float, float]:
    """Seconds by the clock and of processors (the daemon's with them) that `ctr images import` takes to unpack ARCHIVE
    into a new containerd in PLACE."""
    config = place / "config.toml"
    config.write_text(CONFIG.format(place=place))
    log = (place / "log").open("wb")
    daemon = subprocess.Popen([program("containerd") or "", "--config", config], stdout=log, stderr=log)
    try:
        ctr = [program("ctr") or "", "--address", f"{place}/socket"]
        for _ in range(300):
            if daemon.poll() is not None or not subprocess.run([*ctr, "version"], capture_output=True).returncode:
                break
            time.sleep(0.1)
        before, start = used(daemon.pid), time.perf_counter()
        child = seconds_of([*ctr, "images", "import", archive])
        return time.perf_counter() - start, child + used(daemon.pid) - before
    finally:
        daemon.terminate()
        daemon.wait()
        log.close()


def seconds_of(command: Sequence[str | Path]) -> float:
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def used(pid: int) -> float:
    """Seconds of processors that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
