"""GHSA-7ww5-4wqc-m92c: a container reads in /sys how much power the machine draws, and what others compute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyrunc.specs.default import MASKED_PATHS, default_spec

from .conftest import Bundle

POWERCAP = "/sys/devices/virtual/powercap"


@pytest.mark.parametrize("rootless", [False, True])
def test_attack_fails(rootless: bool) -> None:
    """What `spec` writes, and images are converted upon, hides it."""
    assert POWERCAP in default_spec(rootless)["linux"]["maskedPaths"]


def test_written(bundle: Bundle, tmp_path: Path) -> None:
    """It is in the written document, which runs whether the machine has it or not, and shows nothing there."""
    box = bundle()
    assert box.runtime("spec", "--bundle", str(tmp_path)).ok
    masked = json.loads((tmp_path / "config.json").read_text())["linux"]["maskedPaths"]
    assert masked == list(MASKED_PATHS)
    box.linux["maskedPaths"] = masked

    assert box.output_of(f"ls -A {POWERCAP} 2>/dev/null || true") == ""
