"""CVE-2025-62596: what is written to /proc/self of the process goes to another file, because nobody looks what
/proc is."""

from __future__ import annotations

from tests.system.box import Box

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper, inside

# In the container: a tmpfs on /proc whose `self/oom_score_adj` is a link to a file of the image.
FAKE = "mount -t tmpfs tmpfs /proc && mkdir /proc/self && ln -s /tmp/other /proc/self/oom_score_adj"


def attack(box: Box, stopper: Stopper) -> tuple[str, str]:
    """Puts a fake on /proc before the first write. Returns what the other file and the kernel have afterwards."""
    other = box.rootfs / "tmp/other"
    other.write_text("untouched")
    box.process["oomScoreAdj"] = 321
    box.linux["readonlyPaths"] = box.linux["maskedPaths"] = []

    def swap(pid: int) -> None:
        inside(pid, "/bin/sh", "-c", f"export PATH=/bin; {FAKE}")

    with stopper.stops(box.runtime, Stop("pivot_root", lambda pid: None), Stop("openat2", swap, at="entry")) as fds:
        assert box.sh("sleep 1000").create(pass_fds=fds).ok
    assert inside(box.pid, "/bin/cat", "/proc/self/oom_score_adj") == other.read_text()  # the swap has worked
    with open(f"/proc/{box.pid}/oom_score_adj") as value:
        return other.read_text(), value.read().strip()


def test_attack_fails(bundle: Bundle, stopper: Stopper) -> None:
    """The value reaches the kernel by a procfs that nobody else sees."""
    assert attack(bundle(), stopper) == ("untouched", "321")


def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, unguarded: Unguarded) -> None:
    """Written below the container's /proc, it ends in the other file."""
    other, value = attack(unguarded(bundle()), stopper)

    assert other.startswith("321")
    assert value != "321"
