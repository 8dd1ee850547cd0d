"""Where a comparison runs: a mount namespace with the wanted cgroup layout, and the words that describe the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..system import host

LAYOUTS = ("cgroup2", "hybrid")


def kind() -> str:
    """What this machine's /sys/fs/cgroup is: cgroup2, hybrid or v1."""
    if (host.CGROUPS / "cgroup.controllers").exists():
        return "cgroup2"
    return "hybrid" if (host.CGROUPS / "unified").is_mount() else "v1"


def available(layout: str) -> bool:
    """Whether the layout can be had here: cgroup2 wherever that hierarchy is mounted, hybrid as the machine is."""
    return kind() in {"cgroup2": ("cgroup2", "hybrid"), "hybrid": ("hybrid", "v1")}[layout]


def enter(layout: str) -> None:
    """This process sees the layout from now on, and its children with it."""
    host.own_mounts()
    if layout == "cgroup2":
        host.cgroup_layout("cgroup2")
    host.become_subreaper()


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def describe() -> str:
    return f"Linux {platform.release()}, {os.cpu_count()} x {processor()}, Python {platform.python_version()}"
