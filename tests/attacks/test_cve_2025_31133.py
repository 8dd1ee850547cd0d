"""CVE-2025-31133: /dev/null of the container is a link, and what a masked path shows is the link's target, not a
device: here the masked file itself, which can then be read and written to."""

from __future__ import annotations

from pathlib import Path

from tests.system.box import Box

from .conftest import Bundle, Unguarded

SECRET, CHANGED = "/etc/masked", "4321"


def attack(box: Box, volume: Path) -> str:
    """What the container reads at a masked path, after it has written to it."""
    (volume / "null").symlink_to(SECRET)
    (box.rootfs / SECRET[1:]).write_text("secret\n")
    box.without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    box.bind(volume, "/dev")
    box.linux["maskedPaths"] = [SECRET]
    result = box.sh(f"echo {CHANGED} >{SECRET}; cat {SECRET}").run(stdin="")
    assert result.ok, result
    return result.out


def test_attack_fails(bundle: Bundle, outside: Path) -> None:
    """The path is masked by the host's null device, whatever the container's is."""
    assert attack(bundle(), outside) == ""


def test_guard_is_what_stops_it(bundle: Bundle, outside: Path, unguarded: Unguarded) -> None:
    """Masked by the container's own, it hides nothing."""
    assert attack(unguarded(bundle()), outside) == f"{CHANGED}\n"
