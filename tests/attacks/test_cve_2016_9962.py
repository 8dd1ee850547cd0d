"""CVE-2016-9962: a process of the container looks into the runtime's process that enters it, and takes what it has
open.

The moment that counts is the last one: then both have the same user and the same capabilities.
"""

from __future__ import annotations

from tests.system.box import Box, eventually

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper

SPY = """
while ! test -e /tmp/go; do usleep 5000; done
for entry in $(cat /tmp/go)/fd/*; do readlink $entry; done >/tmp/found 2>&1
touch /tmp/done
sleep 1000
"""


def look_at_exec(box: Box, stopper: Stopper) -> str:
    """What a process of the container finds open in one that `exec` is about to start."""
    box.up(SPY)

    def spy(pid: int) -> None:
        inner = next(line.split()[-1] for line in open(f"/proc/{pid}/status") if line.startswith("NSpid"))
        (box.rootfs / "tmp/new").write_text(f"/proc/{inner}")
        (box.rootfs / "tmp/new").rename(box.rootfs / "tmp/go")
        assert eventually((box.rootfs / "tmp/done").exists)

    stop = Stop("execve", spy, text="/bin/true", argument=0, at="entry")
    with stopper.stops(box.runtime, stop) as fds:
        assert box.exec("/bin/true", pass_fds=fds).ok
    return (box.rootfs / "tmp/found").read_text()


def look_at_created(box: Box) -> str:
    """What an exec'd process finds open in a container's init that waits for its start."""
    assert box.create().ok
    return box.exec("sh", "-c", "for entry in /proc/1/fd/*; do readlink $entry; done").out


def test_attack_fails(bundle: Bundle, stopper: Stopper) -> None:
    """Neither a process that enters nor an init that waits shows a file descriptor to the container."""
    assert look_at_exec(bundle(), stopper) == ""
    assert look_at_created(bundle("true")) == ""


def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, unguarded: Unguarded) -> None:
    """Dumpable, both give away all that they have open: the socket to the host among it."""
    assert "socket:" in look_at_exec(unguarded(bundle()), stopper)
    assert "socket:" in look_at_created(unguarded(bundle("true")))
