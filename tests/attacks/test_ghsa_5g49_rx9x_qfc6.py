"""GHSA-5g49-rx9x-qfc6: ".." in names of cgroups and their files makes the runtime write where it is told by the
document."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import host
from tests.system.box import Box
from tests.system.conftest import WORD
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded

# What a host with cgroup v2 alone sees; the command's own mounts, which end with it.
ONLY_V2 = """
mount --make-rprivate / &&
mount --bind /sys/fs/cgroup/unified /mnt && umount -l /sys/fs/cgroup && mount --move /mnt /sys/fs/cgroup && exec "$@"
"""


@pytest.fixture
def victim(machine: None) -> Iterator[Path]:
    """A cgroup of somebody else's. Its depth is a limit that every cgroup2 has, whatever its controllers."""
    unified = host.CGROUPS if (host.CGROUPS / "cgroup.controllers").exists() else host.CGROUPS / "unified"
    if not unified.is_mount():
        pytest.skip("no cgroup2 is mounted")
    folder = unified / f"victim-{WORD}"
    folder.mkdir()
    yield folder
    folder.rmdir()


@pytest.fixture
def target(machine: None, outside: Path) -> Iterator[Path]:
    """A folder that is no cgroup. Its path is made as one as well: those parents stay, as with every runtime."""
    yield outside
    tops = [host.CGROUPS, *host.CGROUPS.iterdir()]
    for path in (outside / WORD / "inner", *(outside / WORD / "inner").parents[:-1]):
        for top in tops:
            with contextlib.suppress(OSError):
                (top / str(path).lstrip("/")).rmdir()


def write_file(box: Box, victim: Path) -> Result:
    box.linux["resources"]["unified"] = {f"../{victim.name}/cgroup.max.depth": "3"}
    if host.CGROUPS == victim.parent:
        return box.sh("true").run()
    with box.runtime.below("unshare", "--mount", "sh", "-c", ONLY_V2, "sh"):
        return box.sh("true").run()


def test_attack_fails(bundle: Bundle, victim: Path, target: Path) -> None:
    """A file of another cgroup is refused by name; a path of ".." stays below the hierarchy's top."""
    result = write_file(bundle(), victim)
    box = bundle("true")
    before = target.stat().st_mtime_ns
    box.linux["cgroupsPath"] = f"/{'../' * 8}{target}/{WORD}/inner"
    ran = box.run()
    entered = bundle().up()

    assert not result.ok
    assert "not the name of a file" in result.err
    assert "linux.resources.unified" in result.err
    assert (victim / "cgroup.max.depth").read_text() == "max\n"
    assert ran.ok, ran
    assert target.stat().st_mtime_ns == before
    assert "bad sub cgroup path" in entered.exec("true", flags=("--cgroup", "..")).err


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded, victim: Path, target: Path) -> None:
    """Taken as they are, the names lead to another cgroup and to any folder of the host's."""
    write_file(unguarded(bundle()), victim)
    box = unguarded(bundle("true"))
    before = target.stat().st_mtime_ns
    box.linux["cgroupsPath"] = f"/{'../' * 8}{target}/{WORD}/inner"
    result = box.run()
    entered = unguarded(bundle()).up()

    assert (victim / "cgroup.max.depth").read_text() == "3\n"
    assert not result.ok  # what was made there is no cgroup, so it was removed again
    assert target.stat().st_mtime_ns != before
    assert entered.exec("true", flags=("--cgroup", "..")).ok
