"""CVE-2025-54867: /proc and /sys of the image are links, and a bind of the host's is mounted through them."""

from __future__ import annotations

import pytest

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded


def attack(box: Box, name: str) -> Result:
    """The image's folder is a link; the mount is a recursive bind, as rootless documents have it."""
    (box.rootfs / name).rmdir()
    (box.rootfs / "tmp/elsewhere").mkdir()
    (box.rootfs / name).symlink_to("tmp/elsewhere")
    box.without_mount(f"/{name}", f"/{name}/fs/cgroup")
    box.linux["readonlyPaths"] = box.linux["maskedPaths"] = []
    box.mount(f"/{name}", "none", f"/{name}", "rbind", "ro")
    return box.sh("test -e /tmp/elsewhere/kernel -o -e /tmp/elsewhere/uptime && echo elsewhere").run()


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_attack_fails(bundle: Bundle, name: str) -> None:
    """A bind is refused like a new file system."""
    result = attack(bundle(), name)

    assert not result.ok
    assert "must be mounted on ordinary directory" in result.err


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded, name: str) -> None:
    """Followed, the link takes the host's file system elsewhere."""
    assert attack(unguarded(bundle()), name).out == "elsewhere\n"
