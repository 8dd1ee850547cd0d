"""CVE-2019-16884: a volume on /proc hides the real one, and with it what the runtime does about it (labels, masks)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded

FAKES = ("bind", "rbind", "tmpfs", "below")


def attack(box: Box, kind: str, fake: Path) -> Result:
    """A mount of the document stands in for /proc, or for a folder of it. Prints what its `version` says."""
    (fake / "version").write_text("fake\n")
    box.without_mount("/proc")
    box.linux["readonlyPaths"] = box.linux["maskedPaths"] = []
    if kind == "below":
        box.mount("/proc", "proc", "proc")
        box.bind(fake, "/proc/sys")
        return box.sh("cat /proc/sys/version").run()
    if kind == "tmpfs":
        box.mount("/proc")
        return box.sh("test -e /proc/self || echo fake").run()
    box.mount("/proc", "none", fake, kind)
    return box.sh("cat /proc/version").run()


@pytest.mark.parametrize("kind", FAKES)
def test_attack_fails(bundle: Bundle, outside: Path, kind: str) -> None:
    """Nothing but a procfs comes on /proc, and nothing of the document's below it."""
    result = attack(bundle(), kind, outside)

    assert not result.ok
    assert "cannot be mounted" in result.err or "no procfs" in result.err
    assert "/proc" in result.err


@pytest.mark.parametrize("kind", FAKES)
def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded, outside: Path, kind: str) -> None:
    """Without the look at type and source the container has the fake."""
    assert attack(unguarded(bundle()), kind, outside).out == "fake\n"
