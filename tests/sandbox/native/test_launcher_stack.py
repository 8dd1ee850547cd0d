"""The root as a stack of layers, every access of the launcher checked: what the container sees, what is left open, and
each refusal."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyrunc.sandbox import protocol
from pyrunc.sandbox.plan import Operation, op
from tests.sandbox.native.harness import NEWNS, NEWPID, NODEV, PROC, Result, Talk, container, shell


@pytest.fixture
def empty(rootfs: Path, tmp_path: Path) -> Path:
    """Folders for a stack; the root file system is to be its lowest layer."""
    for name in ("root", "upper", "work"):
        (tmp_path / name).mkdir()
    return tmp_path / "root"


def stack(empty: Path, layers: Sequence[Path], *options: str, attr: int = 0) -> Operation:
    top = empty.parent
    return op("stack_root", "", attr, [str(path) for path in layers], str(top / "upper"), str(top / "work"), options)


def test_stack(sanitized: Path, rootfs: Path, empty: Path) -> None:
    """The uppermost layer wins, the mount has its attributes, options say nothing of the host, no handle is left."""
    layers = []
    for number in range(60):
        (empty.parent / f"layer,{number}:").mkdir()
        (empty.parent / f"layer,{number}:/number").write_text(f"{number}\n")
        layers.append(empty.parent / f"layer,{number}:")
    script = "cat /number; grep ' / / ' /proc/self/mountinfo; ls /proc/self/fd; pwd"
    plan = container(empty, shell(script), [stack(empty, [*layers, rootfs], attr=NODEV), PROC])
    result = Talk(sanitized, plan).end()

    number, line, *fds, folder = result.output.splitlines()
    assert (number, folder, result.status) == ("0", "/", 0)
    assert "nodev" in line and str(empty.parent) not in result.output
    assert fds == ["0", "1", "2", "3"]  # and 3 is the folder that ls reads
    assert os.listdir(empty) == []


def ended(sanitized: Path, empty: Path, operation: Operation, flags: int = NEWNS | NEWPID) -> Result:
    return Talk(sanitized, container(empty, ["/bin/true"], [operation], flags=flags)).end()


@pytest.mark.parametrize("count", [0, 501])
def test_too_few_and_too_many(sanitized: Path, rootfs: Path, empty: Path, count: int) -> None:
    """One to five hundred layers, as overlayfs has it; nothing is opened for more."""
    failure = ended(sanitized, empty, stack(empty, [rootfs] * count)).failure
    assert failure is not None and failure.a == errno.E2BIG


def test_the_most_there_can_be(sanitized: Path, rootfs: Path, empty: Path) -> None:
    """All names of five hundred layers have room; whether the kernel takes as many is its own affair."""
    layers = [rootfs] * 500
    failure = ended(sanitized, empty, stack(empty, layers, "x" * 255)).failure
    assert failure is not None and failure.detail in (protocol.DETAIL_OPTION, protocol.DETAIL_FILE_SYSTEM)


def test_options_without_end(sanitized: Path, rootfs: Path, empty: Path) -> None:
    """More text than there is room for is refused before any of it is copied."""
    failure = ended(sanitized, empty, stack(empty, [rootfs], *(["x" * 200] * 40))).failure
    assert failure is not None and failure.a == errno.E2BIG


def test_what_is_missing_is_named(sanitized: Path, rootfs: Path, empty: Path) -> None:
    """A layer, or a file that is no image."""
    failure = ended(sanitized, empty, stack(empty, [rootfs, Path("/not/there")])).failure
    assert failure is not None
    assert (failure.a, failure.detail, failure.text) == (errno.ENOENT, protocol.DETAIL_SOURCE, "/not/there")

    (empty.parent / "image").write_bytes(b"no image" * 1000)
    failure = ended(sanitized, empty, stack(empty, [rootfs, empty.parent / "image"])).failure
    assert failure is not None
    assert (failure.detail, failure.text) == (protocol.DETAIL_SOURCE, str(empty.parent / "image"))


def test_not_on_the_host(sanitized: Path, rootfs: Path, empty: Path) -> None:
    """Without a mount namespace of its own it would stay."""
    whole = container(empty, ["/bin/true"], [stack(empty, [rootfs])], flags=NEWPID)
    plan = [item for item in whole if item.name != "propagate_root"]
    failure = Talk(sanitized, plan, apart=True).end().failure
    assert failure is not None and failure.a == errno.EINVAL
