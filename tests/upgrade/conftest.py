"""An earlier release, built from the clone's history, beside the present one; boxes as in tests/system."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.conftest import Environment, run
from tests.system.conftest import bundle, busybox, folder, machine, nothing_left, runtime
from tests.system.runtime import Runtime

__all__ = ["bundle", "busybox", "folder", "machine", "nothing_left", "runtime"]

Commands = Callable[[str], Runtime]


@pytest.fixture(scope="session")
def earlier(tree: Path, root: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of the release of the commit that the file EARLIER names."""
    commit = Path(__file__).with_name("EARLIER").read_text().strip()
    archive = subprocess.run(["git", "-C", tree, "archive", commit], capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"commit {commit} is not in this clone")
    place = tmp_path_factory.mktemp("earlier")
    (place / "source").mkdir()
    subprocess.run(["tar", "-x", "-C", place / "source"], input=archive.stdout, check=True)
    # As the tests' own environment compiles: nothing is fetched.
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*wheel, "--wheel-dir", place / "wheel", place / "source")
    environment = Environment(place / "environment")
    environment.install(*(place / "wheel").glob("*.whl"))
    return environment.path / "bin"


@pytest.fixture
def commands(earlier: Path, runtime: Runtime) -> Commands:
    """`earlier` or `present`, with the word `python` where the front is to have no part; all on one state folder."""

    def command(words: str) -> Runtime:
        programs = earlier if "earlier" in words else Path(sys.executable).parent
        command = f"{programs}/python -m pyrunc" if "python" in words else f"{programs}/pyrunc"
        return Runtime(command, runtime.state)

    return command
