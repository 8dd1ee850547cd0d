"""CVE-2026-41579: /dev of the image is a link to a folder of the host's, in which the runtime then makes devices
and links."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded


def attack(box: Box, outside: Path, relative: bool) -> tuple[Result, list[str]]:
    """The result, and what there is in the host's folder afterwards."""
    box.without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    (box.rootfs / "dev").rmdir()
    (box.rootfs / "dev").symlink_to(f"{'../' * 12}{outside}" if relative else outside)
    result = box.sh("test -c /dev/zero -a -L /dev/fd && echo devices").run()
    return result, sorted(path.name for path in outside.iterdir())


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_attack_fails(bundle: Bundle, outside: Path, relative: bool) -> None:
    """The link leads to a folder of that name in the root file system, where the devices are made."""
    result, found = attack(bundle(), outside, relative)

    assert found == []
    assert result.out == "devices\n", result


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_guard_is_what_stops_it(bundle: Bundle, outside: Path, relative: bool, unguarded: Unguarded) -> None:
    """Followed out of the root, it has them made in the host's folder."""
    _, found = attack(unguarded(bundle()), outside, relative)

    assert {"null", "zero", "fd"} <= set(found)
