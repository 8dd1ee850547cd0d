"""systemd as the maker of cgroups: whole lives in the virtual machine, where it is process 1."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests import lab

from .test_lab import RUNTIME, smoke, tools  # noqa: F401

SCRIPT = Path(__file__).with_name("systemd.sh")
USER = "lab"  # whom the lab's system has


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_lives(tools: Path, tree: Path) -> None:  # noqa: F811
    """Units, limits, updates, reloads, failures and ends, for root and for a user."""
    lab.need_machine(tree)
    command = f"set -- {shlex.quote(RUNTIME)} {USER}\n{SCRIPT.read_text()}"
    done = subprocess.run(
        [tools / "vm", "-l", "-S", "-t", "400", command], capture_output=True, text=True, errors="replace", check=False
    )
    checks = re.findall(r"^(ok|not ok) \d+", done.stdout, re.MULTILINE)

    assert len(checks) >= 40, done.stdout + done.stderr[-3000:]
    assert "not ok" not in checks, done.stdout + done.stderr[-3000:]


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_engines(tools: Path, tree: Path) -> None:  # noqa: F811
    """podman, of root and of a user, and Docker with their systemd cgroup drivers."""
    lab.need_machine(tree)

    smoke(tools, "systemd-vm")
