"""CVE-2021-30465: while a mount is made, its target becomes a symbolic link to a folder of the host's."""

from __future__ import annotations

from pathlib import Path

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper, exchange, mount_points


def attack(box: Box, stopper: Stopper, outside: Path) -> tuple[Result, list[str]]:
    """The result, and where a mount lies outside of the root file system just after it was made."""
    (box.rootfs / "shared/inner").mkdir(parents=True)
    box.mount("/shared/inner", "tmpfs", "tmpfs", "mode=755")
    found: list[str] = []
    swap = Stop("openat2", exchange(box.rootfs / "shared/inner", outside), text="/shared/inner")
    look = Stop("move_mount", lambda pid: found.extend(p for p in mount_points(pid) if p.startswith(str(outside))))
    with stopper.stops(box.runtime, swap, look) as fds:
        result = box.sh("mount").run(pass_fds=fds)
    return result, found


def test_attack_fails(bundle: Bundle, stopper: Stopper, outside: Path) -> None:
    """The mount lands on the folder that was looked at, and is moved on to where the path leads in the container."""
    box = bundle()
    result, found = attack(box, stopper, outside)

    assert found == []
    assert result.err == ""
    assert f"tmpfs on {outside}" in result.out  # the link is the container's: followed from its own root
    assert (box.rootfs / str(outside).lstrip("/")).is_dir()
    assert list(outside.iterdir()) == []


def test_older_call(bundle: Bundle, stopper: Stopper, outside: Path) -> None:
    """Options too long for fsconfig(2) take mount(2), which knows paths alone: there too the handle is what counts."""
    box = bundle()
    lower, merged = [box.folder / (letter * 150) for letter in "ab"], box.rootfs / "shared/inner"
    for path in (*lower, merged):
        path.mkdir(parents=True)
    box.mount("/shared/inner", "overlay", "overlay", f"lowerdir={lower[0]}:{lower[1]}")

    with stopper.stops(box.runtime, Stop("openat2", exchange(merged, outside), text="/shared/inner")) as fds:
        result = box.sh("true").run(pass_fds=fds)

    assert not result.ok
    assert "replaced while it was mounted on: /shared/inner" in result.err


def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, outside: Path, unguarded: Unguarded) -> None:
    """Mounted by its path, it lies on the host's folder."""
    _, found = attack(unguarded(bundle()), stopper, outside)

    assert found == [str(outside)]
