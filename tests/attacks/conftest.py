"""Fixtures of the attacks: containers as in tests/system, the stopper that forces races, and builds without a guard."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.conftest import (  # noqa: F401  (fixtures are found by name)
    Bundle,
    bundle,
    busybox,
    folder,
    leak_check,
    machine,
    probe,
    runtime,
)
from tests.system.runtime import Runtime

from .builds import Builds
from .race import Stopper

Unguarded = Callable[[Box], Box]


@pytest.fixture
def nothing_left(folder: Path, runtime: Runtime) -> Iterator[None]:  # noqa: F811
    """Around every test with a container; attacks on images have none."""
    with leak_check(folder, runtime):
        yield


@pytest.fixture(scope="session")
def gcc() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")


@pytest.fixture(scope="session")
def builds(gcc: None, tree: Path, folder: Path) -> Builds:  # noqa: F811
    pytest.importorskip("setuptools", reason="setup.py, which knows how the launcher is built, needs setuptools")
    (folder / "builds").mkdir()
    return Builds(tree, folder / "builds")


@pytest.fixture
def unguarded(request: pytest.FixtureRequest, builds: Builds, runtime: Runtime) -> Unguarded:  # noqa: F811
    """Gives a box the runtime without what `guards/<name of the test's module>.py` takes out."""
    name = request.path.stem.removeprefix("test_")
    command = builds.command(name)

    def take_out(box: Box) -> Box:
        box.runtime = Runtime(str(command), runtime.state)
        return box

    return take_out


@pytest.fixture(scope="session")
def stopper(gcc: None, folder: Path) -> Stopper:  # noqa: F811
    program = folder / "stopper"
    source = Path(__file__).with_name("stopper.c")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    return Stopper(program)


@pytest.fixture
def outside(folder: Path) -> Iterator[Path]:  # noqa: F811
    """A folder of the host's, beside the bundles: nothing of a container may turn up in it."""
    path = folder / "outside"
    path.mkdir()
    yield path
    shutil.rmtree(path)
