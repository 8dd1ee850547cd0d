"""Namespaces that the launcher makes while there is no plan yet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyrunc.sandbox.compile.namespaces import prepared
from pyrunc.sandbox.plan import op, sync
from pyrunc.specs.decode import Node
from pyrunc.specs.runtime import Spec
from tests.sandbox.native.harness import NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, Talk, execute


def namespaces_of(process: int | str) -> dict[str, str]:
    return {name: os.readlink(f"/proc/{process}/ns/{name}") for name in ("net", "ipc", "mnt")}


def seen(launcher: Path, prepare: list[int], flags: int) -> tuple[dict[str, str], dict[str, str]]:
    """Our namespaces, and those of the init that it gets."""
    plan = [op("spawn", "", flags, ""), sync("ready", "", "start"), *execute("/bin/true")]
    talk = Talk(launcher, plan, prepare=prepare)
    ready = talk.until("ready")
    init = namespaces_of(talk.init)
    talk.go(ready.at)
    assert talk.end().failure is None
    return namespaces_of("self"), init


@pytest.fixture(autouse=True)
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.mark.parametrize("prepare", [[], [NEWNET], [NEWNET | NEWIPC], [NEWNET, NEWIPC]])
def test_what_was_prepared_is_init_s(launcher: Path, prepare: list[int]) -> None:
    """With and without, init has a namespace of its own of each kind that `spawn` makes, and no other."""
    host, init = seen(launcher, prepare, NEWNET | NEWIPC | NEWPID)

    assert init["net"] != host["net"] and init["ipc"] != host["ipc"] and init["mnt"] == host["mnt"]


def test_only_networks_and_ipc(launcher: Path) -> None:
    """Nothing else is made before the plan has been seen."""
    host, init = seen(launcher, [NEWNS, NEWNS | NEWNET, -1], NEWPID)

    assert init == host


def test_a_user_namespace_owns_its_network(launcher: Path) -> None:
    """What comes with a user namespace is made inside it, whatever was prepared: its root may set it up."""
    plan = [
        op("spawn", "", NEWUSER | NEWNET | NEWPID, ""), sync("idmaps", "", "identity"), op("become_root", ""),
        op("loopback_up", ""), *execute("/bin/true"),
    ]  # fmt: skip
    result = Talk(launcher, plan, prepare=[NEWNET]).end()

    assert result.failure is None and result.status == 0, result


def document(*items: dict[str, str]) -> Spec:
    return Spec(Node({"ociVersion": "1.3.0", "linux": {"namespaces": list(items)}}, ""))


def test_what_is_prepared() -> None:
    """New networks and IPC, neither what is joined nor what belongs to a user namespace."""
    network, ipc, mount, user = ({"type": kind} for kind in ("network", "ipc", "mount", "user"))

    assert prepared(document(network, mount, ipc)) == NEWNET | NEWIPC
    assert prepared(document(mount, {**network, "path": "/proc/1/ns/net"}, ipc)) == NEWIPC
    assert prepared(document(network, {**user, "path": "/proc/1/ns/user"})) == 0
    assert prepared(document(mount, network, user)) == 0
