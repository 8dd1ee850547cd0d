"""Root of a user namespace that somebody else has made, as podman and buildah call a runtime; and cgroups that were
delegated to a user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootless.conftest import UserBoxes
from tests.rootless.users import User, UserBox, own
from tests.system import host
from tests.system.box import eventually

pytestmark = pytest.mark.root
ONE_ID = ["unshare", "--user", "--map-root-user"]
ALL_IDS = ["unshare", "--user", "--map-auto", "--map-root-user"]


def inside(box: UserBox, words: list[str]) -> UserBox:
    """The box, whose every command is given by root of a new user namespace of the box's user."""
    program = box.runtime.command[-1]
    box.runtime.command = [*box.runtime.command[:-1], *words, program]
    return box


def without_maps(box: UserBox) -> None:
    """As `spec` would write it for root: no user namespace besides the one we are in."""
    box.without_namespace("user")
    del box.linux["uidMappings"], box.linux["gidMappings"]


def test_root_of_one_id(lone: User, boxes: UserBoxes) -> None:
    """Root of a namespace with one id runs containers in it, and in further ones below it."""
    box = inside(boxes(lone), ONE_ID)
    without_maps(box)
    assert box.output_of("id -u; cat /proc/self/uid_map").split() == ["0", "0", str(lone.uid), "1"]

    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
    assert box.output_of("id -u; cat /proc/self/uid_map").split() == ["0", "0", "0", "1"]


def test_root_of_all_ids(some: User, boxes: UserBoxes) -> None:
    """Podman's way: the engine has mapped the ids, the container is in that namespace or in a part of it."""
    if "map-auto" not in some("unshare", "--help").out:
        pytest.skip("this unshare knows no --map-auto")
    box = inside(boxes(some), ALL_IDS)
    without_maps(box)
    box.process["user"] = {"uid": 1000, "gid": 5, "additionalGids": [7]}
    assert box.output_of("id -u; id -G").split() == ["1000", "5", "7"]

    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = [
        {"containerID": 0, "hostID": 1, "size": 1000}, {"containerID": 1000, "hostID": 0, "size": 1},
    ]  # fmt: skip
    box.process["user"] = {"uid": 1000, "gid": 1000}
    (box.rootfs / "tmp").chmod(0o1777)
    assert box.output_of("id -u; touch /tmp/made; stat -c %u /tmp/made").split() == ["1000", "1000"]
    assert (box.rootfs / "tmp/made").stat().st_uid == some.uid


def test_devices_of_nested_root(lone: User, boxes: UserBoxes) -> None:
    """Root of a namespace cannot make nodes; the host's are bound without being told to."""
    box = inside(boxes(lone), ONE_ID)
    without_maps(box)
    box.linux["devices"] = [{"type": "c", "path": "/dev/null", "major": 1, "minor": 3}]

    assert box.output_of("echo x > /dev/null; stat -c %t:%T /dev/null") == "1:3"


def test_unmapped_id(lone: User, boxes: UserBoxes) -> None:
    """A map of ids that the namespace around it does not have is refused by name."""
    box = inside(boxes(lone), ONE_ID)
    box.linux["uidMappings"][0]["hostID"] = 5

    done = box.run()

    assert "cannot map users 0 5 1" in done.err and "(linux.uidMappings): EPERM" in done.err
    assert "hint: an id is not mapped in the caller's own user namespace" in done.err


def test_groups_of_nested_root(lone: User, boxes: UserBoxes) -> None:
    """Where the namespace around it denies setgroups(2), groups are refused by name, and none are no obstacle."""
    box = inside(boxes(lone), ONE_ID)
    without_maps(box)
    assert box.run().ok

    box.process["user"]["additionalGids"] = [0]
    assert "cannot set any additional groups in a rootless container" in box.run().err


@pytest.fixture
def delegated(lone: User, boxes: UserBoxes) -> Iterator[UserBox]:
    """A box whose commands start in cgroups that are the user's."""
    box = boxes(lone)
    name = f"{box.id}-delegated"
    top = [host.CGROUPS] if (host.CGROUPS / "cgroup.procs").exists() else list(host.CGROUPS.iterdir())
    entering = ""
    for hierarchy in top:
        if not hierarchy.is_mount():
            continue
        place = hierarchy / name
        (place / "caller").mkdir(parents=True)
        for folder in (place, place / "caller"):
            if (folder / "cpuset.cpus").exists() and not (hierarchy / "cgroup.controllers").exists():
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (folder / file).write_text((folder.parent / file).read_text())
            own(folder, lone.uid)
            for file in ("cgroup.procs", "cgroup.subtree_control"):
                if (folder / file).exists():
                    own(folder / file, lone.uid)
        entering += f"echo $$ > {place}/caller/cgroup.procs; "
    box.runtime.command = ["sh", "-c", f'{entering}exec "$0" "$@"', *box.runtime.command]
    box.linux["cgroupsPath"] = f"/{name}/box"
    yield box
    box.runtime("delete", "--force", box.id)
    assert eventually(lambda: not any(alive_in(folder) for folder in host.cgroup_folders(name)))
    assert not [folder for folder in host.cgroup_folders(name) if folder.endswith("/box")]
    host.remove_cgroups(name)


def alive_in(folder: str) -> bool:
    return bool((Path(folder) / "cgroup.procs").read_text())


def test_delegated_cgroup(delegated: UserBox, lone: User) -> None:
    """In cgroups that were made the user's a container has limits, is paused, resumed, updated and listed by them."""
    box = delegated
    controllers = host.CGROUPS / "cgroup.controllers"
    if controllers.exists() and "pids" not in controllers.read_text():
        pytest.skip("no pids controller to be delegated")
    box.linux["resources"] = {"pids": {"limit": 50}}
    box.up("sleep 1000 & wait")
    limit = next(Path(folder) / "pids.max" for folder in host.cgroup_folders(box.id) if folder.endswith("/box")
                 and (Path(folder) / "pids.max").exists())  # fmt: skip

    assert limit.read_text() == "50\n"
    assert box.runtime("pause", box.id).ok
    assert box.status == "paused"
    assert box.runtime("resume", box.id).ok
    assert box.runtime("update", "--pids-limit", "60", box.id).ok
    assert limit.read_text() == "60\n"
    assert eventually(lambda: len(box.runtime("ps", "-f", "json", box.id).out.split(",")) == 2)
    assert box.exec("true").ok
    assert box.kill("--all", "KILL").ok
    box.wait()
    assert box.delete().ok
    assert not os.path.exists(limit)
