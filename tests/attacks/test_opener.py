"""The process that opens the sources of binds with the host's rights, for a container with a user namespace.

Somebody who can speak to it, or who changes what it sees, gets files of the host: so a process that shares the
container's user and PID namespaces looks for the descriptor and for the mount namespace of an init that mounts.
"""

from __future__ import annotations

from tests.system.box import Box, eventually

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper

SPY = """
while ! test -e /tmp/go; do usleep 5000; done
init=$(cat /tmp/go)
for entry in $init/fd/*; do readlink $entry; done >/tmp/found 2>/dev/null
nsenter --mount=$init/ns/mnt true 2>/dev/null && echo entered >>/tmp/found
touch /tmp/done
sleep 1000
"""


def attack(spy: Box, box: Box, stopper: Stopper) -> str:
    """What a container finds of another one that joins its namespaces, at a moment when that one mounts."""
    spy.user_namespace()
    spy.capabilities("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_CHROOT")
    spy.up(SPY)
    box.user_namespace()
    box.namespace("user", f"/proc/{spy.pid}/ns/user")
    box.namespace("pid", f"/proc/{spy.pid}/ns/pid")
    del box.linux["uidMappings"], box.linux["gidMappings"]
    closed = box.folder / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    box.bind(closed / "inner", "/inner")

    def look(pid: int) -> None:
        inner = next(line.split()[-1] for line in open(f"/proc/{pid}/status") if line.startswith("NSpid"))
        (spy.rootfs / "tmp/new").write_text(f"/proc/{inner}")
        (spy.rootfs / "tmp/new").rename(spy.rootfs / "tmp/go")
        assert eventually((spy.rootfs / "tmp/done").exists)

    with stopper.stops(box.runtime, Stop("move_mount", look, at="entry")) as fds:
        assert box.sh("true").run(pass_fds=fds).ok
    return (spy.rootfs / "tmp/found").read_text()


def test_attack_fails(bundle: Bundle, stopper: Stopper) -> None:
    """Neither the link to the opener nor the mounts that it sees are within reach."""
    assert attack(bundle(), bundle(), stopper) == ""


def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, unguarded: Unguarded) -> None:
    """Dumpable, init gives away both."""
    found = attack(bundle(), unguarded(bundle()), stopper)

    assert "socket:" in found
    assert "entered" in found
