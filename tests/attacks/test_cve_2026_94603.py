"""CVE-2026-94603: a restored container has the privileges that its images say, whatever the caller has forbidden it
since. Images are data that others may have written: processes with more than the bundle's document grants never go on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.system.box import Box
from tests.system.test_checkpoint import box as box
from tests.system.test_checkpoint import checkpoint, criu, restore  # noqa: F401

Change = Callable[[Box], None]
UNGUARDED = """
import sys
import pyrunc.restored
pyrunc.restored.check_restored = lambda *_: None
sys.argv[:1] = []
from pyrunc.cli import main
main()
"""
WITNESS = "sleep 1000 & while :; do touch /tmp/alive; sleep .05; done"


def fewer_capabilities(box: Box) -> None:
    box.capabilities("CAP_KILL")


def no_new_privileges(box: Box) -> None:
    box.process["noNewPrivileges"] = True


def with_a_filter(box: Box) -> None:
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}


CHANGES = [fewer_capabilities, no_new_privileges, with_a_filter]


def saved(box: Box) -> Box:
    """A container whose document granted much, saved."""
    box.capabilities("CAP_KILL", "CAP_NET_ADMIN")
    box.process["noNewPrivileges"] = False
    box.up(WITNESS)
    assert checkpoint(box).ok
    (box.rootfs / "tmp/alive").unlink(missing_ok=True)
    return box


@pytest.mark.parametrize("change", CHANGES)
def test_attack_fails(box: Box, change: Change) -> None:
    """The restore is refused by name, nothing of the container runs, and nothing is left."""
    saved(box)
    change(box)
    box.write()

    refused = restore(box)

    assert refused.status == 1
    assert "against the document" in refused.err
    assert not (box.rootfs / "tmp/alive").exists()
    assert "does not exist" in box.runtime("state", box.id).err


def test_unchanged(box: Box) -> None:
    """With the document that it was made with it goes on."""
    saved(box)

    assert restore(box).ok
    box.wait("running")
    assert box.exec("true").ok


def test_guard_is_what_stops_it(box: Box) -> None:
    """Not looked at, it goes on with a capability that the document forbids."""
    saved(box)
    fewer_capabilities(box)
    box.write()
    box.runtime.command = [*box.runtime.command[:2], sys.executable, "-P", "-c", UNGUARDED, "pyrunc"]

    assert restore(box).ok
    assert "CapBnd:\t0000000000001020" in box.exec("cat", "/proc/1/status").out
