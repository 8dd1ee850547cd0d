"""root works in a folder of somebody else's, or with somebody else's environment: no module from there is executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.box import Box

from .conftest import Bundle

NAMES = (
    "_json", "_struct", "fcntl", "json", "os", "pyrunc", "re", "select", "site", "sitecustomize",
    "subprocess", "termios", "usercustomize",
)  # fmt: skip


@pytest.fixture
def trap(outside: Path) -> Path:
    """A folder with modules of many names. The first that is executed leaves a mark."""
    for name in NAMES:
        (outside / name).mkdir()
        (outside / name / "__init__.py").write_text(f"open({str(outside / 'mark')!r}, 'w').write(__name__)\n")
    (outside / "pyvenv.cfg").write_text(f"home = {outside}\n")
    (outside / "python311._pth").write_text(f"{outside}\nimport site\n")
    return outside


def environment(trap: Path) -> dict[str, str]:
    names = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX")
    return {**{name: str(trap) for name in names}, "PYTHONINSPECT": "1", "PYTHONWARNINGS": "error::os.X"}


def use(box: Box, trap: Path) -> None:
    """Commands of all kinds: those of the warm modules, those that load much, and those that fail."""
    for words in (["list"], ["--help"], ["spec", "--bundle", "/nonexistent"], ["state", "none"], ["features"]):
        box.runtime(*words, cwd=trap, env=environment(trap))
    box.write()
    done = box.runtime("run", "--bundle", str(box.folder), box.id, cwd=trap, env=environment(trap))
    assert done.ok, done
    box.runtime("--debug", "run", "--bundle", "/nonexistent", "none", cwd=trap, env=environment(trap))


def test_attack_fails(bundle: Bundle, trap: Path) -> None:
    """Neither the working folder nor a variable of Python's says where modules are."""
    use(bundle("true"), trap)

    assert not (trap / "mark").exists()
    assert list(trap.rglob("*.pyc")) == []


def test_trap(trap: Path) -> None:
    """It is one: an interpreter that listens to its environment falls into it."""

    subprocess.run([sys.executable, "-c", "import json"], cwd=trap, env={"PYTHONPATH": str(trap)}, capture_output=True)

    assert (trap / "mark").exists()
