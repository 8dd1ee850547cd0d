"""What options of a mount come to, as operations."""

from __future__ import annotations

from typing import Any

import pytest

from pyrunc.sandbox.compile import mounts as compiler
from pyrunc.sandbox.compile.mounts import Options, inside, mounts
from pyrunc.sandbox.describe import describe
from pyrunc.sandbox.facts import Facts
from pyrunc.sandbox.plan import Plan, host
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import PyruncError
from pyrunc.specs.features import MOUNT_OPTIONS
from pyrunc.specs.runtime import Mount, Spec
from tests.sandbox.compile.test_golden import v2

MAP = [{"containerID": 0, "hostID": 1000, "size": 10}]
NEWNS = 0x00020000


def plan_of(mount: dict[str, Any], linux: dict[str, Any] | None = None, euid: int = 0) -> Plan:
    """The plan of one mount, or of a list of them."""
    listed = mount["all"] if "all" in mount else [mount]
    node = {
        "ociVersion": "1.3.0",
        "mounts": [{"destination": "/m", "source": "/srv"} | item for item in listed],
        "linux": {"namespaces": [{"type": "mount"}]} | (linux or {}),
    }
    plan = Plan()
    plan.host.append(host("launch", ""))
    mounts(plan, Spec(Node(node)), Facts(v2(), euid=euid), "/bundle/rootfs", NEWNS)
    return plan


def words(plan: Plan) -> list[str]:
    return [describe(item) for item in [*plan.host, *plan.init] if item.name != "launch"]


def bind(*options: str, **more: Any) -> list[str]:
    return words(plan_of({"options": ["bind", *options], **more}))


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ([], ""),
        (["rprivate"], " (rprivate)"),
        (["ro"], " (+ro,~nosuid,nodev,noexec,nosymfollow)"),
        (["rw"], " (-ro,~nosuid,nodev,noexec,nosymfollow)"),
        (["ro", "rw", "nosuid"], " (+nosuid,-ro,~nodev,noexec,nosymfollow)"),
        (["relatime"], " (-atime,nodiratime,~ro,nosuid,nodev,noexec,nosymfollow)"),
        (["noatime", "atime"], " (~ro,nosuid,nodev,noexec,nosymfollow)"),
        (["nodiratime", "norelatime"], " (+nodiratime,-atime,~ro,nosuid,nodev,noexec,nosymfollow)"),
        (["sync", "async"], ""),
        (["rro", "rnoatime"], " (+rro,noatime,-ratime)"),
    ],
    ids=str,
)
def test_flags_of_a_bind(options: list[str], flags: str) -> None:
    """Naming a flag gives up those that are not named, unless they are locked; access times stay until one is named."""
    assert bind(*options) == [f"bind /srv on /m{flags}"]


def test_propagations_add_up() -> None:
    """Each word is a step of its own: a mount may be slave and shared."""
    assert bind("rslave", "shared") == ["bind /srv on /m (rslave)", "remount /m (shared)"]


def test_type_bind_is_a_bind() -> None:
    """A mount of the type bind is one, also without the option."""
    assert words(plan_of({"type": "bind", "options": ["rprivate"]})) == ["bind /srv on /m (rprivate)"]


def test_options_of_a_file_system_are_refused_on_a_bind() -> None:
    """They would be without effect."""
    with pytest.raises(PyruncError, match="bind mounts cannot have any filesystem-specific options applied: size=1k"):
        bind("size=1k")


@pytest.mark.parametrize(
    ("path", "found"),
    [("/bundle/rootfs/mnt", "/mnt"), ("/bundle/rootfs", "/"), ("/bundle/rootfs2", "/bundle/rootfs2"), ("/mnt", "/mnt")],
)
def test_destination_as_the_host_sees_it(path: str, found: str) -> None:
    """The root file system's own path is taken off a destination."""
    assert inside("/bundle/rootfs", path) == found


def test_mappings_make_a_namespace_before_the_launch() -> None:
    """One namespace for all mounts with the same mappings, made on the host while nothing exists yet."""
    mapped = {"options": ["bind"], "uidMappings": MAP, "gidMappings": MAP}
    other = [{"containerID": 0, "hostID": 5, "size": 1}, {"containerID": 7, "hostID": 0, "size": 2}]
    plan = plan_of({"all": [mapped, {**mapped, "destination": "/n"}, {**mapped, "gidMappings": other}]})

    assert [item.name for item in plan.host] == ["map_namespace", "map_namespace", "launch"]
    assert words(plan) == [
        "make a user namespace with users 0 1000 10 groups 0 1000 10 -> ids.mounts[0]",
        "make a user namespace with users 0 1000 10 groups 0 5 1, 7 0 2 -> ids.mounts[2]",
        "bind /srv on /m with ids by ids.mounts[0]",
        "bind /srv on /n with ids by ids.mounts[0]",
        "bind /srv on /m with ids by ids.mounts[2]",
    ]


@pytest.mark.parametrize(
    ("option", "mapped"),
    [
        ("idmap=uids=0-1-10#10-11-10;gids=0-100-10", "users 0 1 10, 10 11 10 groups 0 100 10"),
        ("idmap=gids=@1-3-10;uids=@0-0-1", "users 0 7 1 groups 1 4 10"),
    ],
)
def test_mappings_in_the_option(option: str, mapped: str) -> None:
    """crun's own form; ids after an @ are the container's."""
    linux = {
        "namespaces": [{"type": "mount"}, {"type": "user"}],
        "uidMappings": [{"containerID": 0, "hostID": 7, "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 2, "size": 1000}],
    }
    found = words(plan_of({"options": ["rbind", option]}, linux))

    assert found[0] == f"make a user namespace with {mapped} -> ids.mounts[0]"


@pytest.mark.parametrize(
    "option",
    ["uids=0-1-10", "uids=0-1;gids=0-1-1", "uids=0-1-0;gids=0-1-1", "uids=0-x-1;gids=0-1-1", "ids=0-1-1",
     "uids=0-1-1;uids=0-1-1", "uids=0-4294967295-2;gids=0-1-1", "uids=@5-5-1;gids=0-1-1", "uids=;gids="],
)  # fmt: skip
def test_mappings_in_the_option_that_are_none(option: str) -> None:
    """Whatever the kernel would refuse later is refused now, with the place."""
    with pytest.raises(PyruncError) as caught:
        bind(f"idmap={option}")

    assert caught.value.pointer == "mounts[0]"


def test_implied_mappings() -> None:
    """Without mappings of its own a mount gets the container's, of a new user namespace or of one joined by path."""
    new = {"namespaces": [{"type": "mount"}, {"type": "user"}], "uidMappings": MAP, "gidMappings": MAP}
    joined = {"namespaces": [{"type": "mount"}, {"type": "user", "path": "/proc/1/ns/user"}]}

    assert words(plan_of({"options": ["rbind", "ridmap"]}, new)) == [
        "make a user namespace with users 0 1000 10 groups 0 1000 10 -> ids.mounts[0]",
        "bind /srv on /m recursively with ids of all by ids.mounts[0]",
    ]
    assert words(plan_of({"options": ["rbind", "idmap"]}, joined)) == [
        "bind /srv on /m recursively with ids by user.namespace"
    ]


def test_nobody_but_root_maps_ids() -> None:
    """runc's words, with which rootless engines know it."""
    with pytest.raises(PyruncError, match="id-mapped mounts are not supported for rootless containers"):
        plan_of({"options": ["bind", "idmap"]}, euid=1000)


@pytest.mark.parametrize("option", ["rsync", "rasync", "rdirsync", "rmand", "rnomand", "defaults", "silent", "loud"])
def test_options_without_effect(option: str) -> None:
    """Known words that the kernel has nothing for never reach a file system."""
    mount = Mount(Node({"destination": "/m", "options": [option]}))

    assert Options(mount.options).data == []


def test_features_name_every_option() -> None:
    """The features document lists what this compiler knows, no more and no less."""
    plain = {*compiler.ATTRIBUTES, *compiler.PROPAGATION}
    known = {*plain, *(f"r{word}" for word in plain), *compiler.SUPER, *compiler.SUPER_CLEAR, *compiler.IGNORED}

    assert set(MOUNT_OPTIONS) == known | {*compiler.LINKS, "idmap", "ridmap", "iversion"}
