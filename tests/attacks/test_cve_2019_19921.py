"""CVE-2019-19921: while procfs is mounted, whoever shares the root file system puts a folder of his own in its
place."""

from __future__ import annotations

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper


def attack(box: Box, stopper: Stopper) -> Result:
    """Exchanges /proc after it was found to be an ordinary folder. The container prints its fake version."""
    (box.rootfs / "fake").mkdir()
    (box.rootfs / "fake/version").write_text("fake\n")
    box.linux["readonlyPaths"] = box.linux["maskedPaths"] = []

    def swap(pid: int) -> None:
        (box.rootfs / "proc").rename(box.rootfs / "proc.moved")
        (box.rootfs / "fake").rename(box.rootfs / "proc")

    with stopper.stops(box.runtime, Stop("openat2", swap, text="/proc")) as fds:
        return box.sh("cat /proc/version").run(pass_fds=fds)


def test_attack_fails(bundle: Bundle, stopper: Stopper) -> None:
    """The procfs is moved on to whatever folder is at /proc by then."""
    result = attack(bundle(), stopper)

    assert result.err == ""
    assert result.out.startswith("Linux version")


def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, unguarded: Unguarded) -> None:
    """Unseen, the fake is the container's /proc."""
    assert attack(unguarded(bundle()), stopper).out == "fake\n"
