"""The documents that the runtime itself writes: state, features, and the config.json to begin with."""

from __future__ import annotations

import json

import pytest

import pyrunc.specs
from pyrunc.specs import clauses
from pyrunc.specs.default import default_spec
from pyrunc.specs.features import MOUNT_OPTIONS, features
from pyrunc.specs.state import decode_state
from tests.specs.documents import complaints


def test_state() -> None:
    """The state is read as the specification names its members; without a process there is no pid."""
    document = {"ociVersion": "1.3.0", "id": "box", "status": "stopped", "bundle": "/b", "annotations": {"a": "b"}}
    stopped = decode_state(json.dumps(document).encode())
    running = decode_state(json.dumps({**document, "status": "running", "pid": 42}).encode())

    assert (stopped.oci_version, stopped.id, stopped.bundle, stopped.annotations) == ("1.3.0", "box", "/b", {"a": "b"})
    assert (stopped.status, stopped.pid) == ("stopped", 0)
    assert (running.status, running.pid) == ("running", 42)


def test_features() -> None:
    """Features name what the specification requires, each name once, and what the caller adds."""
    found = features({"org.example": "1"}, ["SECCOMP_FILTER_FLAG_LOG"])

    assert (found["ociVersionMin"], found["ociVersionMax"]) == ("1.0.0", "1.3.0")
    assert found["annotations"] == {"org.example": "1"}
    assert found["linux"]["seccomp"]["supportedFlags"] == ["SECCOMP_FILTER_FLAG_LOG"]
    assert set(features()["linux"]["seccomp"]["supportedFlags"]) == set(found["linux"]["seccomp"]["knownFlags"])
    assert len(found["linux"]["capabilities"]) == 41
    assert len(found["linux"]["seccomp"]["archs"]) == 23
    for names in (found["hooks"], found["mountOptions"], found["linux"]["namespaces"], found["linux"]["capabilities"]):
        assert len(names) == len(set(names))
    json.dumps(found)


def test_mount_options() -> None:
    """Options are sorted, and each that clears has the one that sets."""
    assert list(MOUNT_OPTIONS) == sorted(MOUNT_OPTIONS)
    for option in MOUNT_OPTIONS:
        if option.startswith("no"):
            assert option[2:] in MOUNT_OPTIONS
        if option.startswith("rno"):
            assert f"r{option[3:]}" in MOUNT_OPTIONS


@pytest.mark.parametrize("rootless", [False, True])
@pytest.mark.parametrize("cgroup2", [False, True])
def test_default_documents_are_valid(rootless: bool, cgroup2: bool) -> None:
    """The document to begin with breaks no rule, for root and others, on either version of cgroups."""
    document = default_spec(rootless, 1000, 100, cgroup2)
    kinds = [namespace["type"] for namespace in document["linux"]["namespaces"]]

    assert complaints(document) == []
    assert ("cgroup" in kinds, "user" in kinds, "network" in kinds) == (cgroup2, rootless, not rootless)
    assert document["hostname"] == "pyrunc"


def test_default_document_without_root() -> None:
    """Without root the caller is root inside, /sys is the host's, no id but root's is named, no cgroup is limited."""
    document = default_spec(rootless=True, uid=1000, gid=100)
    mounts = {mount["destination"]: mount for mount in document["mounts"]}

    assert document["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
    assert document["linux"]["gidMappings"] == [{"containerID": 0, "hostID": 100, "size": 1}]
    assert mounts["/sys"] == {
        "destination": "/sys",
        "type": "none",
        "source": "/sys",
        "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
    }
    assert "gid=5" not in mounts["/dev/pts"]["options"]
    assert "resources" not in document["linux"]


def test_default_documents_are_independent() -> None:
    """Changing one document changes no other."""
    default_spec()["process"]["args"].append("x")

    assert default_spec()["process"]["args"] == ["sh"]


def test_names_are_handed_on() -> None:
    """Every name that the package promises is there, and no other is made up."""
    for names in pyrunc.specs.MODULES.values():
        for name in names:
            assert (
                getattr(pyrunc.specs, name).__name__ == name if name != "VERSION" else pyrunc.specs.VERSION == "1.3.0"
            )
    with pytest.raises(AttributeError):
        pyrunc.specs.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("pointer", "clause"),
    [
        ("", "config.md"),
        ("unknown.member", "config.md"),
        ("mounts[1].options[0]", "config.md#mounts"),
        ("process.rlimits[0].type", "config.md#posix-process"),
        ('linux.sysctl["net.ipv4.ip_forward"]', "config-linux.md#sysctl"),
        ("linux.resources.memory.limit", "config-linux.md#memory"),
        ("linux.unknown", "config-linux.md"),
    ],
)
def test_clauses(pointer: str, clause: str) -> None:
    """Each place belongs to the narrowest clause about it."""
    assert clauses.clause_of(pointer) == clause
