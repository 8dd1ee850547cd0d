"""A copy of the tree, a wheel made from it, and environments to install into. pip is used as it is configured."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".demo", "build", "dist", "__pycache__", "*.egg-info", "*.so", "*.o", "bin", ".*_cache"
)


def run(*command: str | Path, **options: object) -> str:
    """Standard output of a command that must succeed; what it said otherwise."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return str(result.stdout)


@pytest.fixture(scope="session")
def copy(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree without what builds leave, links as links."""
    target = tmp_path_factory.mktemp("source") / "pyrunc"
    shutil.copytree(tree, target, symlinks=True, ignore=LEFT_OUT)
    return target


@pytest.fixture(scope="session")
def wheel(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


class Environment:
    """A virtual environment whose packages are those of the tests' own, so that nothing is fetched."""

    def __init__(self, path: Path, python: str = sys.executable) -> None:
        self.path = path
        run(python, "-m", "venv", "--without-pip", path)
        for name in ("_cffi_backend", "cffi", "jsonschema"):
            for found in Path(own_packages()).glob(f"{name}*"):
                if not found.name.endswith("-info"):
                    (self.packages / found.name).symlink_to(found)

    @property
    def packages(self) -> Path:
        (packages,) = self.path.glob("lib/python3.*/site-packages")
        return packages

    @property
    def pyrunc(self) -> Path:
        return self.path / "bin/pyrunc"

    def install(self, *arguments: str | Path, env: dict[str, str] | None = None) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self.path / "bin/python"]
        environment = {**os.environ, **(env or {})}
        run(
            *pip,
            "install",
            "--quiet",
            "--no-deps",
            "--no-cache-dir",
            "--root-user-action=ignore",
            *arguments,
            env=environment,
        )


def own_packages() -> str:
    import sysconfig

    return sysconfig.get_path("platlib")
