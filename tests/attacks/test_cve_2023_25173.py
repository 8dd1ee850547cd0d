"""CVE-2023-25173, CVE-2022-2989, CVE-2022-2990: a process kept groups that it was not given, those of whoever started
it among them, and so access, or lacked its own, and so what they forbid."""

from __future__ import annotations

import os

from tests.system.box import Box

from .conftest import Bundle, Unguarded

CALLER = "0,4,27,100,54321"  # supplementary groups of whoever starts the command


def groups(box: Box) -> tuple[str, str]:
    """Those of the container's process and of one that is exec'd."""
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [29]}
    with box.runtime.below("setpriv", "--groups", CALLER):
        box.sh("grep Groups /proc/self/status; sleep 1000")
        assert box.run_detached().ok
        box.wait_for("Groups")
        return box.printed, box.exec("grep", "Groups", "/proc/self/status").out


def test_attack_fails(bundle: Bundle) -> None:
    """The groups are those of the document: none of the caller's, none of the image's /etc/group."""
    assert [text.split() for text in groups(bundle())] == [["Groups:", "29"]] * 2


def test_forbidden_by_group(bundle: Bundle) -> None:
    """A group that is forbidden a file is not lost on the way: its own gid counts as one of the groups."""
    box = bundle()
    secret = box.rootfs / "tmp/secret"
    secret.write_text("for all but the group")
    secret.chmod(0o604)
    os.chown(secret, 0, 1000)
    box.process["user"] = {"uid": 1001, "gid": 1001, "additionalGids": [1000]}
    box.capabilities()

    assert "denied" in box.output_of("cat /tmp/secret 2>&1 || true")


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded) -> None:
    """Without setgroups(2) the caller's come along."""
    assert "54321" in groups(unguarded(bundle()))[0]
