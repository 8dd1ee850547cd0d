"""What CRIU is asked for, without CRIU."""

from __future__ import annotations

from typing import Any

import pytest

from pyrunc.sandbox.criu.options import CriuOptions
from pyrunc.sandbox.criu.requests import config_file, dump_request, restore_request
from pyrunc.sandbox.criu.rpc import PRE_DUMP, encode
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import PyruncError
from pyrunc.specs.runtime import Spec


def dump(options: CriuOptions, **given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "pid": 5, "root": "/r", "images": 3, "work": -1, "config": None, "mounts": [], "namespaces": [], "freezer": "",
    }  # fmt: skip
    request = dump_request(options, **{**values, **given})
    assert encode("req", request)
    opts: dict[str, Any] = request["opts"]
    return {**opts, "type": request["type"]}


def restore(options: CriuOptions, *namespaces: dict[str, str]) -> dict[str, Any]:
    spec = Spec(Node({"ociVersion": "1.3.0", "linux": {"namespaces": list(namespaces)}}))
    request = restore_request(
        options, root="/r", images=3, work=4, config="/c", mounts=[("/m", "/s")], inherited=[("pipe:[1]", 0)],
        spec=spec, cgroups=[("", "/box")],
    )  # fmt: skip
    assert encode("req", request)
    opts: dict[str, Any] = request["opts"]
    return opts


def test_dump() -> None:
    """Mounts and namespaces from outside go by their names; what is not given is not said."""
    asked = dump(CriuOptions(), mounts=[("/a", "/b")], namespaces=[("network", 42), ("pid", 43)], freezer="/f")

    assert asked["ext_mnt"] == [{"key": "/a", "val": "/b"}]
    assert asked["external"] == ["net[42]:extRootNetNS", "pid[43]:extRootPidNS"]
    assert asked["freeze_cgroup"] == "/f"
    assert asked["manage_cgroups_mode"] == 6
    assert not {"config_file", "work_dir_fd", "ps", "parent_img"} & asked.keys()


def test_pre_dump() -> None:
    """Only memory, on top of the images before."""
    asked = dump(CriuOptions(pre_dump=True, parent="../one", page_server=("::1", 27)), mounts=[("/a", "/b")])

    assert asked["type"] == PRE_DUMP
    assert (asked["parent_img"], asked["track_mem"]) == ("../one", True)
    assert asked["ps"] == {"address": "::1", "port": 27}
    assert "ext_mnt" not in asked


def test_restore() -> None:
    """Namespaces that exist are joined, but for network and pid, whose descriptors criu inherits."""
    asked = restore(
        CriuOptions(lsm_profile="selinux:x"), {"type": "ipc", "path": "/i"}, {"type": "network", "path": "/n"},
        {"type": "uts"}, {"type": "mount", "path": "/m"},
    )  # fmt: skip

    assert asked["join_ns"] == [{"ns": "ipc", "ns_file": "/i"}, {"ns": "mnt", "ns_file": "/m"}]
    assert asked["ext_mnt"] == [{"key": "/m", "val": "/s"}]
    assert asked["inherit_fd"] == [{"key": "pipe:[1]", "fd": 0}]
    assert asked["cg_root"] == [{"ctrl": "", "path": "/box"}]
    assert (asked["work_dir_fd"], asked["config_file"], asked["lsm_profile"]) == (4, "/c", "selinux:x")
    assert asked["rst_sibling"]


def test_cgroup_namespace() -> None:
    """CRIU joins no cgroup namespace: said before anything is tried."""
    with pytest.raises(PyruncError, match="CRIU cannot join"):
        restore(CriuOptions(), {"type": "cgroup", "path": "/c"})


@pytest.mark.parametrize(("mode", "number"), [("ignore", 0), ("soft", 3), ("full", 4), ("strict", 5)])
def test_cgroup_modes(mode: str, number: int) -> None:
    """CRIU's numbers."""
    assert dump(CriuOptions(cgroups_mode=mode))["manage_cgroups_mode"] == number


def test_wrong_cgroup_mode() -> None:
    """A word that is no mode is refused in runc's words."""
    with pytest.raises(PyruncError, match="invalid manage-cgroups-mode value"):
        dump(CriuOptions(cgroups_mode="props"))


@pytest.mark.parametrize(
    ("annotations", "has_own", "file"),
    [
        ({}, False, "/etc/criu/runc.conf"),
        ({}, True, "/etc/criu/pyrunc.conf"),
        ({"org.criu.config": "/my.conf"}, True, "/my.conf"),
        ({"org.criu.config": ""}, True, None),
    ],
)
def test_config_file(annotations: dict[str, str], has_own: bool, file: str | None) -> None:
    """The container's file comes first, an empty one means none; then pyrunc's own; then runc's, for who has that."""
    assert config_file(annotations, has_own) == file
