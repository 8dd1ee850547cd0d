"""Real engines drive pyrunc: the lab's smoke scripts, each with an installation of this tree of its own.

Each script prints TAP; a check that failed is shown with what it said. Those that take long are for soaking.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests import lab

HOME = "/opt/pyrunc-test"
RUNTIME = f"{HOME}/bin/pyrunc"
QUICK = ["bundle", "podman", "ctr"]
LONG = ["podman-rootless", "buildah", "docker", "cri"]


@pytest.fixture(scope="module")
def tools(root: None, tree: Path) -> Path:
    """The lab, with this tree installed in its system: compiled there, for its Python."""
    folder = lab.need_engines(tree)
    done = subprocess.run([folder / "install", "-t", HOME, tree], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def smoke(tools: Path, name: str, where: str = "sid") -> None:
    environment = {**os.environ, "LAB_WHERE": where}
    command = [tools / "smoke" / name, RUNTIME]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    checks = re.findall(r"^(ok|not ok) \d+", done.stdout, re.MULTILINE)
    said = done.stdout + done.stderr[-2000:]
    assert done.returncode == 0, said
    assert len(checks) >= 10, f"only {len(checks)} checks: {said}"
    assert "not ok" not in checks, said


@pytest.mark.parametrize("name", QUICK)
def test_smoke(tools: Path, name: str) -> None:
    """The engine's ways to make, change, enter and end containers work with pyrunc in runc's place."""
    smoke(tools, name)


@pytest.mark.soak
@pytest.mark.parametrize("name", LONG)
def test_more_engines(tools: Path, name: str) -> None:
    """The same for the other engines."""
    smoke(tools, name)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", QUICK + LONG)
def test_cgroup2(tools: Path, tree: Path, name: str) -> None:
    """The same in the virtual machine, with cgroup v2 alone."""
    lab.need_machine(tree)
    smoke(tools, name, "vm")
