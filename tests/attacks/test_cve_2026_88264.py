"""CVE-2026-88264, CVE-2026-88265 and their like: /dev of a crafted image has files, links and devices of its own under
the names that the runtime is about to make. What becomes of them stays in the root, and no device that the image brings
is taken for the one of that name."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle

NODES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = ("fd", "stdin", "stdout", "stderr", "ptmx", "core")
Plant = Callable[[Path, Path], None]


def link_out(place: Path, outside: Path) -> None:
    place.symlink_to(outside / "target")


def link_to_missing(place: Path, outside: Path) -> None:
    place.symlink_to(outside / "made")


def other_device(place: Path, outside: Path) -> None:
    os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 1))  # /dev/mem


def named_pipe(place: Path, outside: Path) -> None:
    os.mkfifo(place)


def folder_with_file(place: Path, outside: Path) -> None:
    place.mkdir()
    (place / "file").write_text("of the image")


def hard_link(place: Path, outside: Path) -> None:
    os.link(outside / "target", place)


def attack(box: Box, outside: Path, plant: Plant) -> Result:
    (outside / "target").write_text("untouched")
    (outside / "target").chmod(0o640)
    box.without_mount("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    for name in (*NODES, *LINKS):
        plant(box.rootfs / "dev" / name, outside)
    script = "; ".join(f"test ! -c /dev/{name} || echo {name} $(stat -c %t:%T /dev/{name})" for name in NODES)
    return box.sh(f"echo written > /dev/null; {script}").run()


@pytest.mark.timeout(40)
@pytest.mark.parametrize("plant", [link_out, link_to_missing, other_device, named_pipe, folder_with_file, hard_link])
def test_attack_fails(bundle: Bundle, outside: Path, plant: Plant) -> None:
    """Whether it is refused or runs: the host's files are as they were, and a device is the one of its name or none."""
    result = attack(bundle(), outside, plant)

    assert sorted(path.name for path in outside.iterdir()) == ["target"]
    assert (outside / "target").read_text() == "untouched"
    assert oct((outside / "target").stat().st_mode) == "0o100640"
    numbers = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}
    assert {name: number for name, number in map(str.split, result.lines) if numbers[name] != number} == {}
    assert result.ok or result.err.count("level=error") == 1, result
