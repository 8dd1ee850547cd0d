"""CVE-2019-5736: the container takes hold of the runtime's program by /proc/PID/exe, waits until it can be written
to, and changes it for the next one to run."""

from __future__ import annotations

from pathlib import Path

from tests.system.box import Box, eventually
from tests.system.runtime import Runtime

from .builds import Builds
from .conftest import Bundle, Unguarded

LAUNCHER = "sandbox/native/bin/launcher"
HOLD = """
exec 9</proc/1/exe || exit
echo held >/tmp/held
until readlink /proc/1/exe | grep -q busybox; do usleep 5000; done
echo >>/proc/self/fd/9
"""


def attack(box: Box) -> str:
    """Holds the program of a container's init before its start, and adds a byte to it after. Returns what the shell
    said."""
    assert box.create().ok
    with box.runtime.spawn("exec", box.id, "sh", "-c", HOLD) as entered:
        assert eventually(lambda: (box.rootfs / "tmp/held").exists() or entered.poll() is not None)
        assert box.start().ok
        out, err = entered.communicate(timeout=10)
    return out + err


def self_executed(box: Box) -> str:
    """The image's program is a link to whatever runs it."""
    (box.rootfs / "bin/again").symlink_to("/proc/self/exe")
    box.process["args"] = ["again"]
    return box.run().err


def test_attack_fails(bundle: Bundle, tree: Path) -> None:
    """The launcher's file stays as it is: what the container sees of it, if anything, is a sealed copy."""
    before = (tree / LAUNCHER).read_bytes()

    said = attack(bundle("sleep", "1000"))
    self_executed(bundle())

    assert (tree / LAUNCHER).read_bytes() == before
    assert "Permission denied" in said or "not permitted" in said


def test_sealed(bundle: Bundle, builds: Builds, runtime: Runtime) -> None:
    """The second line alone is enough: a launcher that can be looked at cannot be written to."""
    file = builds.command("cve_2016_9962").parent.parent / LAUNCHER
    before = file.read_bytes()
    box = bundle("sleep", "1000")
    box.runtime = Runtime(str(builds.command("cve_2016_9962")), runtime.state)

    said = attack(box)

    assert (box.rootfs / "tmp/held").exists()
    assert "not permitted" in said
    assert file.read_bytes() == before


def test_guard_is_what_stops_it(bundle: Bundle, builds: Builds, unguarded: Unguarded) -> None:
    """Started from its file, and seen because it is dumpable, the launcher is changed by the container."""
    file = builds.command("cve_2019_5736").parent.parent / LAUNCHER
    before = file.read_bytes()

    attack(unguarded(bundle("sleep", "1000")))

    assert file.read_bytes() == before + b"\n"
