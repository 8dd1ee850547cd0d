"""Limits and cgroups, read back from the host's own files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from . import host
from .box import Box
from .conftest import Bundle


def unified() -> bool:
    """Whether the runtime sees cgroup v2 alone. A function: the fixture that narrows the view runs after the import."""
    return (host.CGROUPS / "cgroup.procs").exists()


def folder_of(box: Box, controller: str) -> Path:
    """The container's cgroup in the hierarchy of a controller; skips where the machine has none."""
    if unified():
        if controller not in ["freezer", *(host.CGROUPS / "cgroup.controllers").read_text().split()]:
            pytest.skip(f"no {controller} controller on this machine")
        return host.CGROUPS / box.cgroup[1:]
    if not (host.CGROUPS / controller).is_mount():
        pytest.skip(f"no {controller} controller on this machine")
    return host.CGROUPS / controller / box.cgroup[1:]


def limits(box: Box, controller: str, *files: str) -> list[str]:
    """Runs the box and reads these files of its cgroup."""
    folder = folder_of(box, controller)
    box.up()
    return [(folder / file).read_text().strip() for file in files]


def test_memory(bundle: Bundle) -> None:
    """memory.limit, reservation and swap arrive in the memory controller."""
    box = bundle()
    box.linux["resources"]["memory"] = {"limit": 64 << 20, "reservation": 32 << 20}

    if unified():
        assert limits(box, "memory", "memory.max", "memory.low") == [str(64 << 20), str(32 << 20)]
    else:
        files = ("memory.limit_in_bytes", "memory.soft_limit_in_bytes")
        assert limits(box, "memory", *files) == [str(64 << 20), str(32 << 20)]


def test_memory_is_enforced(bundle: Bundle) -> None:
    """A process beyond the limit is killed, and none of the runtime's own memory counts."""
    box = bundle()
    folder_of(box, "memory")
    box.linux["resources"]["memory"] = {"limit": 6 << 20, "swap": 6 << 20}

    assert box.output_of("echo fine") == "fine"
    assert box.sh("head -c 20000000 /dev/zero | tail -c 20000000 > /dev/null").run().status != 0


def test_cpu(bundle: Bundle) -> None:
    """cpu shares, quota and period arrive in the cpu controller."""
    box = bundle()
    box.linux["resources"]["cpu"] = {"shares": 512, "quota": 50000, "period": 100000}

    if unified():
        assert limits(box, "cpu", "cpu.max") == ["50000 100000"]
    else:
        assert limits(box, "cpu", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us") == ["512", "50000", "100000"]


def test_cpuset(bundle: Bundle) -> None:
    """cpus and mems arrive in the cpuset controller, and the process sees them."""
    box = bundle()
    box.linux["resources"]["cpu"] = {"cpus": "0", "mems": "0"}

    assert limits(box, "cpuset", "cpuset.cpus", "cpuset.mems") == ["0", "0"]
    assert "Cpus_allowed_list:\t0\n" in Path(f"/proc/{box.pid}/status").read_text()


@pytest.mark.parametrize(("limit", "text"), [(7, "7"), (-1, "max")])
def test_pids(bundle: Bundle, limit: int, text: str) -> None:
    """pids.limit arrives in the pids controller."""
    box = bundle()
    box.linux["resources"]["pids"] = {"limit": limit}

    assert limits(box, "pids", "pids.max") == [text]


def test_pids_is_enforced(bundle: Bundle) -> None:
    """More processes than the limit cannot be made."""
    box = bundle()
    folder_of(box, "pids")
    box.linux["resources"]["pids"] = {"limit": 3}

    result = box.sh("sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait").run()

    assert "fork" in result.err


def test_devices(bundle: Bundle, probe: Path) -> None:
    """Only the default devices can be used, and what is allowed beyond."""
    box = bundle()
    box.capabilities("CAP_MKNOD", "CAP_SYSLOG")
    box.linux["resources"]["devices"] = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"},
    ]
    box.mount("/nodes", "tmpfs", "tmpfs", "dev")

    result = box.sh(
        "cd /nodes; mknod kmsg c 1 11; mknod port c 1 4; mknod null c 1 3;"
        "echo x > null && echo null; (exec 3< kmsg) && echo kmsg;"
        "(exec 3> kmsg) || echo no-write; (exec 3< port) || echo no-port"
    ).run()

    assert result.out.split() == ["null", "kmsg", "no-write", "no-port"], result


def test_devices_deny_is_the_last_word(bundle: Bundle) -> None:
    """Rules count in their order: what a later rule denies is denied."""
    box = bundle()
    box.linux["resources"]["devices"] = [
        {"allow": True, "access": "rwm"},
        {"allow": False, "type": "c", "major": 1, "minor": 11, "access": "rw"},
    ]
    box.capabilities("CAP_MKNOD")
    box.mount("/nodes", "tmpfs", "tmpfs", "dev")

    result = box.sh(
        "cd /nodes; mknod kmsg c 1 11; mknod zero c 1 5; (exec 3< kmsg) || echo no; (exec 3< zero) && echo yes"
    ).run()

    assert result.out.split() == ["no", "yes"], result


@pytest.mark.unlike("crun", "leaves cgroups behind")
def test_hugepages(bundle: Bundle) -> None:
    """A limit on huge pages of a size that there is arrives; of one that there is not is an error."""
    box = bundle("true")
    box.linux["resources"]["hugepageLimits"] = [{"pageSize": "3MB", "limit": 0}]

    assert box.run().status == 1


@pytest.mark.unlike("crun", "passes over it")
def test_unified_needs_version_2(bundle: Bundle) -> None:
    """resources.unified is an error where the machine has cgroup v1: it could not be enforced."""
    if unified():
        pytest.skip("means cgroup v1")
    box = bundle("true")
    box.linux["resources"]["unified"] = {"memory.max": "10000000"}

    assert box.run().status == 1


@pytest.mark.unlike("crun", "passes over it")
def test_bad_limit(bundle: Bundle) -> None:
    """A limit that the kernel refuses is an error, and nothing is left."""
    box = bundle("true")
    folder_of(box, "cpuset")
    box.linux["resources"]["cpu"] = {"cpus": "77777"}

    result = box.run()

    assert result.status == 1
    assert "cpuset" in result.err


def test_every_hierarchy(bundle: Bundle) -> None:
    """The process is in cgroupsPath in every hierarchy that has a controller, with all that it starts."""
    box = bundle().up("sleep 1000 & echo ready; wait")
    box.wait_for("ready")

    for pid in [box.pid, *host.children(box.pid)]:
        lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        visible = [path for _, names, path in lines if not names.startswith("name=") and (names or unified())]
        assert set(visible if not unified() else [lines[-1][2]]) == {box.cgroup}


def test_nested_path(bundle: Bundle) -> None:
    """A cgroupsPath may be deep, and is removed with the container."""
    box = bundle()
    box.linux["cgroupsPath"] = f"/{box.id}/deep/down"
    box.up()
    assert box.cgroup in Path(f"/proc/{box.pid}/cgroup").read_text()

    assert box.delete("--force").ok

    assert not any(folder.endswith("down") for folder in host.cgroup_folders(box.id))
    host.remove_cgroups(box.id)  # the folders above may stay: another container could have come


def test_no_path(bundle: Bundle) -> None:
    """Without cgroupsPath a container has a cgroup of its own all the same, called after it."""
    box = bundle()
    del box.linux["cgroupsPath"]
    box.up()

    assert box.id in Path(f"/proc/{box.pid}/cgroup").read_text()


def test_relative_path(bundle: Bundle) -> None:
    """A relative cgroupsPath lies at the same place every time."""
    places = []
    for _ in range(2):
        box = bundle()
        box.linux["cgroupsPath"] = "pyrunc-relative"
        box.up()
        places.append(Path(f"/proc/{box.pid}/cgroup").read_text())
        assert box.delete("--force").ok

    assert places[0] == places[1]
    assert "pyrunc-relative" in places[0]
    assert host.cgroup_folders("pyrunc-relative") == []


def test_sub_cgroups(bundle: Bundle) -> None:
    """Cgroups that somebody made below the container's are removed with it."""
    box = bundle().up()
    for folder in host.cgroup_folders(box.id):
        os.mkdir(f"{folder}/below")

    assert box.delete("--force").ok
    assert host.cgroup_folders(box.id) == []


@pytest.mark.unlike("crun", "joins it")
def test_used_cgroup(bundle: Bundle) -> None:
    """A cgroup with processes of somebody else in it is refused, and those live on."""
    first = bundle().up()
    second = bundle("true")
    second.linux["cgroupsPath"] = first.cgroup

    result = second.create()

    assert result.status == 1
    assert "container's cgroup is not empty" in result.err
    assert first.status == "running"
    assert second.cgroup in Path(f"/proc/{first.pid}/cgroup").read_text()


def test_foreign_cgroup_stays(bundle: Bundle) -> None:
    """Deleting one container leaves the cgroups of another alone."""
    first, second = bundle().up(), bundle().up()
    before = host.cgroup_folders(first.id)

    assert second.delete("--force").ok
    assert host.cgroup_folders(first.id) == before


def test_cgroup_namespace(bundle: Bundle) -> None:
    """In a cgroup namespace of its own the container sees its cgroup as the root."""
    box = bundle()
    box.namespace("cgroup")

    lines = box.output_of("cat /proc/self/cgroup").splitlines()

    assert {line.split(":", 2)[2] for line in lines if not line.split(":")[1].startswith("name=")} == {"/"}


def test_limits_hold_from_the_start(bundle: Bundle) -> None:
    """Limits are there before the program runs, and the hooks of create see the process in its cgroup."""
    box = bundle("true")
    folder = folder_of(box, "pids")
    log = box.folder / "log"
    box.linux["resources"]["pids"] = {"limit": 9}
    script = f"cat {folder}/pids.max {folder}/cgroup.procs > {log}"
    box.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]
    }

    assert box.run().ok

    lines = log.read_text().split()
    assert lines[0] == "9"
    assert len(lines) == 2


def test_update(bundle: Bundle) -> None:
    """`update` changes a limit of a running container, and leaves the others."""
    box = bundle()
    folder = folder_of(box, "pids")
    box.linux["resources"]["pids"] = {"limit": 9}
    box.linux["resources"]["memory"] = {"limit": 64 << 20}
    memory = folder_of(box, "memory") / ("memory.max" if unified() else "memory.limit_in_bytes")
    box.up()

    assert box.runtime("update", "--pids-limit", "20", box.id).ok

    assert (folder / "pids.max").read_text() == "20\n"
    assert memory.read_text() == f"{64 << 20}\n"


def test_frozen_container_can_be_seen(bundle: Bundle) -> None:
    """A container that was frozen by its freezer is paused."""
    box = bundle().up()
    folder = folder_of(box, "freezer")
    file, value = (folder / "cgroup.freeze", "1") if unified() else (folder / "freezer.state", "FROZEN")

    subprocess.run(["sh", "-c", f"echo {value} > {file}"], check=True)

    assert box.status == "paused"
