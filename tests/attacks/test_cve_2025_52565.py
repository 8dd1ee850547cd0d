"""CVE-2025-52565: between the making of a terminal and its bind on /dev/console, its name comes to stand for
another file."""

from __future__ import annotations

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper, inside

HIDDEN = "/proc/sys/kernel/msgmax"  # of the container's IPC namespace: harmless


def attack(box: Box, stopper: Stopper) -> Result:
    """Somebody with a hand in the container's mounts puts a read-only file of procfs on /dev/pts/0."""
    box.process["terminal"] = True

    def swap(pid: int) -> None:
        inside(pid, "/bin/mount", "-o", "bind", HIDDEN, "/dev/pts/0")

    with stopper.stops(box.runtime, Stop("openat2", swap, text="ptmx")) as fds:
        return box.sh(f"echo 4321 >/dev/console; echo value=$(cat {HIDDEN})").run(pass_fds=fds)


def no_devpts(box: Box) -> Result:
    """An image's own folder stands in for devpts."""
    box.process["terminal"] = True
    box.without_mount("/dev/pts")
    box.mount("/dev/pts")
    return box.sh("true").run()


def test_attack_fails(bundle: Bundle, stopper: Stopper) -> None:
    """/dev/console is the terminal that was made; a /dev/pts that is no devpts is refused."""
    result = attack(bundle(), stopper)

    assert "4321" in result.out  # on the terminal
    assert "value=4321" not in result.out
    assert "/dev/pts is no devpts" in no_devpts(bundle()).err


def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, unguarded: Unguarded) -> None:
    """Found by its name, it is the other file, which can now be written to."""
    assert "value=4321" in attack(unguarded(bundle()), stopper).out
