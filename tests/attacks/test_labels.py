"""Labels that are written where nobody reads them: what stands at /proc is the image's or a process's own (the kind of
CVE-2019-16884 and CVE-2019-19921). The program would run without the confinement that was asked for.

On a kernel without SELinux, too: then the write to the true file fails, and the one to a false one does not.
"""

from __future__ import annotations

import pytest

from tests.system.box import Box
from tests.system.runtime import Result, Runtime

from .builds import Builds
from .conftest import Bundle, Unguarded

LABEL = "pyrunc_u:pyrunc_r:no_such_label_t:s0"
OVER = "mount -t tmpfs tmpfs /proc && mkdir -p /proc/self/attr && : >/proc/self/attr/exec && echo ready"
NO_RING = "--no-new-keyring"  # it would have to be labelled first
KINDS = ("folder", "link", "process")


@pytest.fixture
def unasked(builds: Builds, runtime: Runtime) -> Unguarded:
    """Gives a box the runtime that tries a label whether or not the kernel runs SELinux."""
    command = builds.command("labels_unasked")

    def replace(box: Box) -> Box:
        box.runtime = Runtime(str(command), runtime.state)
        return box

    return replace


def attack(box: Box, kind: str) -> tuple[Result, str]:
    """The result of a start, or of an `exec`, with a label; and what the file in the place of the true one has."""
    if kind != "process":
        fake = box.rootfs / "proc/self/attr/exec"
        if kind == "link":
            (box.rootfs / "proc").rmdir()
            (box.rootfs / "proc").symlink_to("tmp")
        fake.parent.mkdir(parents=True)
        fake.write_text("")
        box.without_mount("/proc")
        box.linux["readonlyPaths"] = box.linux["maskedPaths"] = []
        box.process["selinuxLabel"] = LABEL
        return box.sh("echo running").run(NO_RING), fake.read_text()
    box.capabilities("CAP_SYS_ADMIN")
    box.linux["readonlyPaths"] = box.linux["maskedPaths"] = []
    assert box.sh(f"{OVER}; sleep 1000").run_detached(NO_RING).ok
    box.wait_for("ready")
    done = box.exec("echo", "running", flags=["--process-label", LABEL])
    return done, box.exec("cat", "/proc/self/attr/exec").out


@pytest.mark.parametrize("kind", KINDS)
def test_attack_fails(bundle: Bundle, unasked: Unguarded, kind: str) -> None:
    """The label goes to the kernel or the program does not run."""
    done, fake = attack(unasked(bundle()), kind)

    assert (done.ok, done.out, fake) == (False, "", "")
    assert f"cannot write '{LABEL}' to attribute exec" in done.err


@pytest.mark.parametrize("kind", KINDS)
def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded, kind: str) -> None:
    """Written below the container's /proc the label ends in that file, and the program runs as before."""
    done, fake = attack(unguarded(bundle()), kind)

    assert (done.ok, done.out, fake) == (True, "running\n", LABEL)
