"""CVE-2019-18837: the root file system of a bundle is, or is exchanged for, a symbolic link, and the root of the
container is a folder of the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Bundle


@pytest.mark.parametrize("name", ["rootfs", "rootfs/", "./rootfs", "rootfs/."])
def test_attack_fails(bundle: Bundle, outside: Path, name: str) -> None:
    """A link in the place of the root is refused, however it is written, and nothing is made where it leads."""
    box = bundle("true")
    box.rootfs.rename(box.folder / "moved")
    box.rootfs.symlink_to(outside)
    box.config["root"]["path"] = name
    box.mount("/made", "tmpfs")

    result = box.run()

    assert not result.ok
    assert "symlink" in result.err
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/self/root"])
def test_folders_of_the_host(bundle: Bundle, target: str) -> None:
    """Neither does one that leads to the host's own root, or into its /proc, become a root."""
    box = bundle("true")
    box.rootfs.rename(box.folder / "moved")
    box.rootfs.symlink_to(target)

    assert not box.run().ok
    assert Path("/made").exists() is False
