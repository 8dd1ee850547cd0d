"""CVE-2025-52881: what the runtime writes below /proc is redirected to another file, which it then changes as the
host's root."""

from __future__ import annotations

from tests.system.box import Box

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper, inside

KEY, FILE = "kernel.msgmax", "/proc/sys/kernel/msgmax"


def attack(box: Box, stopper: Stopper) -> tuple[str, str]:
    """Puts a file on the sysctl's just before it is opened. Returns what that file and the kernel have afterwards."""
    other = box.rootfs / "tmp/other"
    other.write_text("untouched")
    box.linux["sysctl"] = {KEY: "4321"}

    def swap(pid: int) -> None:
        inside(pid, "/bin/mount", "-o", "bind", "/tmp/other", FILE)

    with stopper.stops(box.runtime, Stop("pivot_root", lambda pid: None), Stop("openat2", swap, at="entry")) as fds:
        assert box.sh("sleep 1000").create(pass_fds=fds).ok
    assert inside(box.pid, "/bin/cat", FILE) == other.read_text()  # the swap has worked
    return other.read_text(), inside(box.pid, "cat", FILE, kinds=["--ipc"]).strip()


def test_attack_fails(bundle: Bundle, stopper: Stopper) -> None:
    """The value reaches the kernel by a procfs that nobody else sees."""
    assert attack(bundle(), stopper) == ("untouched", "4321")


def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, unguarded: Unguarded) -> None:
    """Written below the container's /proc, it ends in the other file."""
    other, value = attack(unguarded(bundle()), stopper)

    assert other.startswith("4321")
    assert value != "4321"
