"""Fixtures of the black-box tests: the runtime, boxes, and the check that nothing is left behind.

The runtime is `$PYRUNC_RUNTIME`, by default the `pyrunc` beside this interpreter; `$PYRUNC_CGROUPS` (`host`, `v1` or
`cgroup2`) narrows what the runtime sees of the cgroup hierarchies: crun needs `v1` on a hybrid host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import host
from .box import Box, eventually
from .runtime import Runtime, default_command

WORD = f"pyrunc-test-{os.getpid()}"
PROBE = Path(__file__).with_name("probe.c")
Bundle = Callable[..., Box]


@pytest.fixture(scope="session")
def machine(root: None) -> None:
    """Own mounts, so that a leak is seen and harms nobody; subreaper, so that orphans come to us."""
    host.own_mounts()
    host.cgroup_layout(os.environ.get("PYRUNC_CGROUPS", "host"))
    host.become_subreaper()


@pytest.fixture(scope="session")
def folder(machine: None) -> Iterator[Path]:
    """Where bundles are. Not pytest's own, which the mapped root of a user namespace cannot enter."""
    path = Path(tempfile.mkdtemp(prefix=f"{WORD}-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def cgroup2(machine: None) -> None:
    """For promises that only cgroup v2 can keep; on other machines tests/vm makes these tests in a virtual one."""
    if not (host.CGROUPS / "cgroup.procs").exists():
        pytest.skip("this machine does not have cgroup v2 alone")


@pytest.fixture(scope="session")
def runtime(folder: Path) -> Runtime:
    runtime = Runtime(default_command(), folder / "state")
    if shutil.which(runtime.command[0]) is None:
        pytest.skip(f"{runtime.command[0]} is not installed")
    return runtime


@pytest.fixture(scope="session")
def busybox(folder: Path) -> Path:
    found = shutil.which("busybox")
    if found is None or b"statically linked" not in subprocess.run(["file", "-L", found], capture_output=True).stdout:
        pytest.skip("Debian's busybox-static is not installed")
    copy = folder / "busybox"
    shutil.copy(found, copy)
    return copy


@pytest.fixture(scope="session")
def probe(folder: Path) -> Path:
    """A small static program for what busybox cannot ask: see probe.c."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    program = folder / "probe"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Werror", "-static", "-o", program, PROBE], check=True)
    return program


@contextmanager
def leak_check(folder: Path, runtime: Runtime) -> Iterator[None]:
    """The same mounts, cgroups, processes, state folders, sockets and names after as before."""
    before = host.leftovers(WORD, folder, runtime.state)
    yield
    if not eventually(lambda: not host.more(before, host.leftovers(WORD, folder, runtime.state)), 2):
        left = host.more(before, host.leftovers(WORD, folder, runtime.state))
        host.end_descendants()
        host.remove_cgroups(WORD)
        shutil.rmtree(runtime.state, ignore_errors=True)
        pytest.fail(f"left behind: {left}")


@pytest.fixture(autouse=True)
def nothing_left(folder: Path, runtime: Runtime) -> Iterator[None]:
    """Around every test."""
    with leak_check(folder, runtime):
        yield


@pytest.fixture
def bundle(nothing_left: None, runtime: Runtime, folder: Path, busybox: Path) -> Iterator[Bundle]:
    """Makes boxes: `bundle("cat", "/proc/mounts")`. They are deleted afterwards, by force."""
    boxes: list[Box] = []

    def make(*args: str) -> Box:
        box = Box(runtime, folder, f"{WORD}-{next(numbers)}", busybox, args)
        boxes.append(box)
        return box

    yield make
    for box in reversed(boxes):  # the last one may have joined the namespaces of the first
        host.reap()  # a pid namespace does not end before the exec'd processes that came to us are reaped
        runtime("delete", "--force", box.id)
        shutil.rmtree(box.folder, ignore_errors=True)


def count() -> Iterator[int]:
    number = 0
    while True:
        yield (number := number + 1)


numbers = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    kind = Runtime(default_command(), Path("/")).kind
    for item in items:
        for mark in item.iter_markers("only"):
            if kind not in mark.args:
                item.add_marker(pytest.mark.skip(reason=f"a promise of {' and '.join(mark.args)} alone"))
        for mark in item.iter_markers("unlike"):
            if kind == mark.args[0]:
                item.add_marker(pytest.mark.skip(reason=f"{kind}: {mark.args[1]}"))
        for mark in item.iter_markers("gap"):
            if kind == mark.args[0]:
                item.add_marker(pytest.mark.xfail(reason=mark.args[1], strict=True))
