"""What the tests of cgroup v2 share: looking at files of a container's cgroup, and foreign groups. No tests here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import host
from .box import Box
from .runtime import Result


def group(box: Box) -> Path:
    """The container's cgroup."""
    return host.CGROUPS / box.cgroup.lstrip("/")


def need(*controllers: str) -> None:
    """Skips where the machine lacks one of them."""
    missing = set(controllers) - set((host.CGROUPS / "cgroup.controllers").read_text().split())
    if missing:
        pytest.skip(f"no controller {' '.join(sorted(missing))} on this machine")


def files(box: Box, *names: str) -> dict[str, str]:
    """These files of the container's cgroup; the ones that are not there are left out."""
    found = {name: group(box) / name for name in names}
    return {name: path.read_text().strip() for name, path in found.items() if path.exists()}


def holds(box: Box, wanted: dict[str, str]) -> bool:
    """Whether the files are as wanted, with an assertion's picture of the difference."""
    assert files(box, *wanted) == wanted
    return True


def update(box: Box, **resources: Any) -> Result:
    """`update` with an object like linux.resources."""
    return box.runtime("update", "--resources", "-", box.id, stdin=json.dumps(resources))


def disk() -> str:
    """MAJOR:MINOR of a block device, which need not be used; skips where there is none."""
    devices = sorted(Path("/sys/block").glob("*/dev"), key=lambda path: path.parent.name.startswith("loop"))
    if not devices:
        pytest.skip("this machine has no block device")
    return devices[0].read_text().strip()


@contextmanager
def foreign_group(path: str, member: bool = True) -> Iterator[Path]:
    """A cgroup that is not the runtime's, by default with a process in it."""
    folder = host.CGROUPS / path.lstrip("/")
    folder.mkdir()
    process = subprocess.Popen(["sleep", "100"])
    try:
        if member:
            (folder / "cgroup.procs").write_text(str(process.pid))
        yield folder
    finally:
        process.kill()
        process.wait()
        host.remove_cgroups(os.path.basename(path))
