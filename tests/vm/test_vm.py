"""The tests of whole containers again in a virtual machine with another kernel, where cgroups are v2 alone.

One boot for all of them; what failed inside is shown here, whole. Inside are this tree and this interpreter.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests import lab

QUICK = [f"tests/system/test_v2_{part}.py" for part in ("limits", "devices", "groups", "update")]
WHOLE = ["tests/system"]
PLUGINS = "-p pytest_timeout -p no:cacheprovider -q --tb=short"

Outcome = tuple[str, str, str]  # name, `passed`, `failed` or `skipped`, what was said


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """The one folder that both machines see and the virtual one may write to."""
    folder = Path(tempfile.mkdtemp(prefix="pyrunc-vm-"))
    yield folder
    shutil.rmtree(folder)


def inside(tree: Path, shared: Path, names: list[str], marks: str, seconds: int) -> list[Outcome]:
    """Runs these tests in the machine."""
    vm = lab.need_machine(tree) / "vm"
    prefix = Path(sys.prefix).resolve()
    shows = [item for path in {tree, prefix} if tree not in path.parents for item in ("-v", str(path))]
    report = shared / "report.xml"
    command = (
        f"modprobe -qa loop null_blk; cd {tree} && PYTHONDONTWRITEBYTECODE=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"
        f" {sys.executable} -m pytest {PLUGINS} -m '{marks}' --junitxml={report} {' '.join(names)}"
    )
    booted = [vm, "-t", str(seconds), *shows, "-v", f"{shared}:rw", command]
    done = subprocess.run(booted, capture_output=True, text=True, errors="replace", check=False)
    assert report.exists(), f"no report came back ({done.returncode}):\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return list(outcomes(report))


def outcomes(report: Path) -> Iterator[Outcome]:
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        for kind in ("failure", "error", "skipped"):
            found = case.find(kind)
            if found is not None:
                yield name, "skipped" if kind == "skipped" else "failed", found.text or found.get("message", "")
                break
        else:
            yield name, "passed", ""


def judge(found: list[Outcome], at_least: int) -> None:
    failed = [f"{name}\n{text}" for name, outcome, text in found if outcome == "failed"]
    passed = [name for name, outcome, _ in found if outcome == "passed"]
    for name, outcome, text in found:
        if outcome == "skipped":
            print(f"skipped inside: {name}: {text.strip().splitlines()[-1] if text.strip() else ''}")
    assert not failed, f"{len(failed)} of {len(found)} failed in the virtual machine:\n\n" + "\n\n".join(failed)
    assert len(passed) >= at_least, f"only {len(passed)} tests passed: {passed}"


@pytest.mark.slow
def test_cgroup2(root: None, tree: Path, shared: Path) -> None:
    """Limits, device filter, delegation, freezing and killing hold on a machine with cgroup v2 alone."""
    judge(inside(tree, shared, QUICK, "not soak", 240), at_least=30)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_everything(root: None, tree: Path, shared: Path) -> None:
    """All that holds on this machine holds on that one."""
    judge(inside(tree, shared, WHOLE, "soak or not soak", 1400), at_least=200)
