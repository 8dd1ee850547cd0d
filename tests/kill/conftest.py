"""Fixtures of the tests that kill: the helper, compiled; whole containers as in tests/system; the number of points."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pyrunc

from ..system import host
from ..system.box import Box, eventually
from ..system.conftest import WORD, busybox, count, folder, machine, runtime
from ..system.document import new_mount
from ..system.runtime import Runtime
from .points import Killer

__all__ = ["busybox", "folder", "machine", "runtime"]  # fixtures

UID = 64321
SOURCE = Path(__file__).with_name("killer.c")
POINTS = "kill points"
numbers = count()

Clean = Callable[[], str]


@pytest.fixture(scope="session")
def helper(folder: Path) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    program = folder / "killer"
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, SOURCE], check=True)
    probe = subprocess.run([program, "-o", "/dev/null", "-s", "/", "--", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"nothing can be traced here: {probe.stderr.strip()}")
    return program


@pytest.fixture(scope="session")
def prefix() -> str:
    """Where our own Python begins."""
    return str(Path(pyrunc.__file__).parent) + "/"


@pytest.fixture(scope="session")
def killer(helper: Path, runtime: Runtime, prefix: str, folder: Path) -> Killer:
    if runtime.kind != "pyrunc":
        pytest.skip("counts the system calls of pyrunc")
    return Killer(helper, runtime.command, prefix, folder / "report")


@pytest.fixture(scope="session")
def user(folder: Path, runtime: Runtime, killer: Killer) -> Runtime:
    """The runtime as a user without any rights."""
    rights = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    if subprocess.run([*rights, *runtime.command, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"{runtime.command[0]} is out of reach for other users")
    if subprocess.run([*rights, "unshare", "-Ur", "true"], capture_output=True).returncode != 0:
        pytest.skip("users may not make user namespaces here")
    state = folder / "user"
    state.mkdir()
    os.chown(state, UID, UID)
    user = Runtime(" ".join([*rights, *runtime.command]), state)
    user.kind = runtime.kind
    return user


@pytest.fixture(scope="session")
def user_killer(killer: Killer, user: Runtime, folder: Path) -> Killer:
    return Killer(killer.program, killer.command, killer.prefix, folder / "report", UID)


def new_box(runtime: Runtime, folder: Path, busybox: Path) -> Box:
    return Box(runtime, folder, f"{WORD}-kill-{next(numbers)}", busybox, ("sh", "-c", "echo up; exec sleep 1000"))


@pytest.fixture
def box(runtime: Runtime, folder: Path, busybox: Path) -> Iterator[Box]:
    box = new_box(runtime, folder, busybox)
    yield box
    end(box)


@pytest.fixture
def user_box(user: Runtime, folder: Path, busybox: Path) -> Iterator[Box]:
    """A box of one id and without a cgroup."""
    box = new_box(user, folder, busybox)
    del box.linux["cgroupsPath"]
    del box.linux["resources"]
    box.namespace("user")
    for ids in ("uidMappings", "gidMappings"):
        box.linux[ids] = [{"containerID": 0, "hostID": UID, "size": 1}]
    box.without_mount("/sys/fs/cgroup", "/dev/pts")
    box.config["mounts"].append(new_mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance"]))
    yield box
    end(box)


def end(box: Box) -> None:
    host.reap()
    box.delete("--force")
    shutil.rmtree(box.folder)


@pytest.fixture
def clean(request: pytest.FixtureRequest, folder: Path, helper: Path) -> Clean:
    """Says what is left behind on the machine since the test began, "" for nothing; and takes it away, for the next
    point."""
    state = request.getfixturevalue("user" if "user_box" in request.fixturenames else "runtime").state
    before = host.leftovers(WORD, folder, state)

    def left() -> dict[str, list[str]]:
        return host.more(before, host.leftovers(WORD, folder, state))

    def look() -> str:
        if eventually(lambda: not left(), 3):
            return ""
        found = left()
        host.end_descendants()
        host.remove_cgroups(WORD)
        for name in found.get("state", []):
            shutil.rmtree(state / name)
        return f"left behind: {found}"

    return look


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Takes down how many points a test has tried."""
    return lambda number: record_property(POINTS, number)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    tried = {report.head_line: value for report in reports for name, value in report.user_properties if name == POINTS}
    if tried:
        terminalreporter.write_line(f"killed at {sum(tried.values())} points: {tried}")
