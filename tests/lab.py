"""Finds the lab: the folder with real engines and a virtual machine that may lie beside the clone. No tests here.

`$PYRUNC_LAB_TOOLS` names its commands (default `../shared/lab`), `$PYRUNC_LAB` its state (default /var/tmp/pyrunc-lab).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def tools(tree: Path) -> Path:
    """The folder of the lab's commands; skips where there is none."""
    folder = Path(os.environ.get("PYRUNC_LAB_TOOLS") or tree.parent / "shared/lab")
    if not (folder / "setup").exists():
        pytest.skip("the lab is not here (PYRUNC_LAB_TOOLS)")
    return folder


def state() -> Path:
    return Path(os.environ.get("PYRUNC_LAB") or "/var/tmp/pyrunc-lab")


def need_machine(tree: Path) -> Path:
    """The lab's commands, when its virtual machine is set up."""
    folder = tools(tree)
    if not (state() / "vm/initrd.img").exists():
        pytest.skip(f"no virtual machine in {state()}: run {folder}/setup")
    return folder


def need_engines(tree: Path) -> Path:
    """The lab's commands, when its engines are set up."""
    folder = tools(tree)
    if not (state() / "sid/usr").exists():
        pytest.skip(f"no engines in {state()}: run {folder}/setup")
    return folder
