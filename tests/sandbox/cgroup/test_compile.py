"""What compile_cgroup makes of a path, a layout and limits."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pyrunc.sandbox.cgroup import CgroupPlan, clean_path, compile_cgroup
from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout, Unified
from pyrunc.specs.errors import Failure, Invalid
from tests.sandbox.documents import resources

CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma")
V1_NAMES = (
    "cpu", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb", "net_cls", "net_prio", "name=systemd"
)  # fmt: skip


def v2(own: str = "/me/now", enabled: tuple[str, ...] = (), controllers: tuple[str, ...] = CONTROLLERS) -> Layout:
    return Layout((), Unified(controllers, "/cg", own, enabled=enabled))


def v1(unified: Unified | None = None) -> Layout:
    return Layout(tuple(Hierarchy((name,), f"/cg/{name.removeprefix('name=')}", "/me") for name in V1_NAMES), unified)


def writes(plan: CgroupPlan) -> list[tuple[str, str]]:
    return [values for name, _, values, _ in plan.steps if name == "write"]


def made(plan: CgroupPlan) -> list[str]:
    return [values[0] for name, _, values, _ in plan.steps if name == "make_cgroup"]


# -- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("", ""),
        ("/a/b", "/a/b"),
        ("a//b/./c/", "a/b/c"),
        ("/../../a/../b", "/b"),
        ("../x", "x"),
        ("/a:b:c", "/a:b:c"),
    ],
)
def test_clean_path(given: str, clean: str) -> None:
    """`.`, `..` and doubled slashes go, and no path leaves the place it starts from (GHSA-5g49-rx9x-qfc6)."""
    assert clean_path(given) == clean


@pytest.mark.parametrize("bad", ["/", "..", "/a/..", "a\nb", "a\0b"])
def test_bad_path(bad: str) -> None:
    """A path names a cgroup below the root, and none of its names breaks /proc/PID/cgroup."""
    with pytest.raises(Invalid):
        clean_path(bad)


def test_systemd_path() -> None:
    """slice:prefix:name without systemd is a folder of that name beside our own cgroup, as with runc."""
    assert compile_cgroup(None, "system.slice:docker:abc", v2(), "id").folders == ["/cg/me/system.slice:docker:abc"]


def test_places_on_v2() -> None:
    """No path: beside our own cgroup, named by the id. Absolute: below the mount point, parents first."""
    assert compile_cgroup(None, "", v2(), "box").folders == ["/cg/me/box"]
    assert compile_cgroup(None, "pod/box", v2(), "id").folders == ["/cg/me/pod/box"]
    plan = compile_cgroup(None, "/pod/box", v2(), "id")
    assert made(plan) == ["/cg/pod", "/cg/pod/box"]
    assert (plan.folders, plan.into, plan.enter) == (["/cg/pod/box"], "/cg/pod/box", [])
    assert plan.freezer == ("v2", "/cg/pod/box/cgroup.freeze")
    assert plan.device_program


def test_own_folder_must_be_new() -> None:
    """Parents may exist, the container's folder is checked: no tolerance on its step."""
    steps = compile_cgroup(None, "/pod/box", v2(), "id").steps

    assert [step[3] for step in steps if step[0] == "make_cgroup"] == ["exists_ok", ""]


def test_places_on_v1() -> None:
    """No path: below our own cgroup, in every hierarchy, named ones included."""
    plan = compile_cgroup(None, "", v1(), "box")

    assert plan.folders == [f"/cg/{name.removeprefix('name=')}/me/box" for name in V1_NAMES]
    assert (plan.enter, plan.into, plan.device_program) == (plan.folders, None, None)
    assert plan.freezer == ("v1", "/cg/freezer/me/box/freezer.state")


def test_comounted_is_made_once() -> None:
    """A hierarchy of two controllers is one folder, which serves both."""
    layout = Layout((Hierarchy(("cpu", "cpuacct", "devices"), "/cg/cpu,cpuacct", "/"),))
    plan = compile_cgroup(resources(cpu={"shares": 512}), "/a", layout, "id")

    assert plan.folders == plan.enter == ["/cg/cpu,cpuacct/a"]
    assert ("/cg/cpu,cpuacct/a/cpu.shares", "512") in writes(plan)


# -- what comes before the limits ------------------------------------------------------------------------------------


def test_controllers_down_the_path() -> None:
    """v2: controllers are handed down at every level above the container, but where that is known to be done."""

    def enabled(plan: CgroupPlan) -> list[Any]:
        return [values for name, _, values, _ in plan.steps if name == "enable_controllers"]

    names = " ".join(CONTROLLERS)
    assert enabled(compile_cgroup(None, "/a/b", v2(), "id")) == [("/cg", names), ("/cg/a", names)]
    assert enabled(compile_cgroup(None, "/a", v2(enabled=CONTROLLERS), "id")) == []
    hybrid = v1(Unified(("hugetlb", "rdma"), "/cg/unified", "/"))
    assert enabled(compile_cgroup(None, "/a", hybrid, "id")) == []
    with_limit = compile_cgroup(resources(rdma={"mlx": {"hcaHandles": 3}}), "/a", hybrid, "id")
    assert enabled(with_limit) == [("/cg/unified", "rdma")]


def test_cpuset_is_inherited() -> None:
    """v1: every new cpuset is filled from its parent before anyone enters, but for what the document sets."""
    plan = compile_cgroup(resources(cpu={"cpus": "0"}), "/a/b", v1(), "id")
    names = [step[0] for step in plan.steps]

    assert [values for name, _, values, _ in plan.steps if name == "inherit_cpuset"] == [
        ("/cg/cpuset/a", "cpuset.cpus"), ("/cg/cpuset/a", "cpuset.mems"), ("/cg/cpuset/a/b", "cpuset.mems"),
    ]  # fmt: skip
    assert names.index("inherit_cpuset") > max(i for i, name in enumerate(names) if name == "make_cgroup")
    assert ("/cg/cpuset/a/b/cpuset.cpus", "0") in writes(plan)


# -- limits where their controllers are ------------------------------------------------------------------------------


def test_each_controller_where_it_is() -> None:
    """Hybrid: memory on v1, hugetlb on v2, in one document."""
    layout = Layout(
        (Hierarchy(("memory",), "/cg/memory", "/"), Hierarchy(("devices",), "/cg/devices", "/")),
        Unified(("hugetlb",), "/cg/unified", "/"),
    )
    asked = resources(memory={"limit": 4096}, hugepageLimits=[{"pageSize": "2MB", "limit": 7}])
    plan = compile_cgroup(asked, "/a", layout, "id")

    assert ("/cg/memory/a/memory.limit_in_bytes", "4096") in writes(plan)
    assert ("/cg/unified/a/hugetlb.2MB.max", "7") in writes(plan)


@pytest.mark.parametrize(
    ("controller", "asked"),
    [
        ("memory", {"memory": {"limit": 1}}),
        ("cpu", {"cpu": {"shares": 2}}),
        ("cpuset", {"cpu": {"cpus": "0"}}),
        ("pids", {"pids": {"limit": 1}}),
        ("io", {"blockIO": {"weight": 10}}),
        ("hugetlb", {"hugepageLimits": [{"pageSize": "1GB", "limit": 1}]}),
        ("rdma", {"rdma": {"mlx": {"hcaObjects": 1}}}),
        ("memory", {"unified": {"memory.high": "1"}}),
    ],
)
def test_missing_controller_is_named(controller: str, asked: dict[str, Any]) -> None:
    """A limit that cannot be enforced is an error naming the controller; devices go on by eBPF."""
    empty = v2(controllers=())

    name = "blkio" if controller == "io" else controller
    with pytest.raises(Failure, match=f"{controller}|{name}"):
        compile_cgroup(resources(**asked), "/a", empty, "id")
    assert compile_cgroup(None, "/a", empty, "id").device_program


def test_network_is_for_v1() -> None:
    """Classes and priorities of packets are passed over on v2 with a warning, as in runc, and an error on v1 without
    the controller."""
    asked = resources(network={"classID": 1, "priorities": [{"name": "lo", "priority": 1}]})
    plan = compile_cgroup(asked, "/a", v2(), "id")

    assert [text.split()[0] for text in plan.warnings] == [
        "linux.resources.network.classID", "linux.resources.network.priorities",
    ]  # fmt: skip
    hybrid = Layout((Hierarchy(("cpu",), "/cg/cpu"),), Unified(("memory",), "/u"))
    with pytest.raises(Failure, match="net_cls"):
        compile_cgroup(asked, "/a", hybrid, "id")


def test_unified_is_for_v2() -> None:
    """linux.resources.unified on a v1 or hybrid host is an error."""
    with pytest.raises(Failure, match="unified on cgroup v1"):
        compile_cgroup(resources(unified={"memory.max": "1"}), "/a", v1(Unified(CONTROLLERS, "/u", "/")), "id")


def test_unified_wins() -> None:
    """A file of `unified` is written after the same limit by its name, a line at a time; unknown ones are tried."""
    asked = resources(
        memory={"limit": 4096}, unified={"memory.max": "8192", "io.max": "8:0 a=1\n8:1 a=1", "new.x": "1"}
    )

    assert writes(compile_cgroup(asked, "/a", v2(), "id")) == [
        ("/cg/a/memory.max", "4096"), ("/cg/a/memory.max", "8192"), ("/cg/a/io.max", "8:0 a=1"),
        ("/cg/a/io.max", "8:1 a=1"), ("/cg/a/new.x", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize("file", ["a/b", "..", ".", ""])
def test_unified_names_files(file: str) -> None:
    """A key of `unified` cannot lead out of the cgroup."""
    with pytest.raises(Invalid, match="must be a file name"):
        compile_cgroup(resources(unified={file: "1"}), "/a", v2(), "id")


def test_pids_zero_on_v2() -> None:
    """Nobody can be cloned into a cgroup that may hold no process, so it may hold one."""
    plan = compile_cgroup(resources(pids={"limit": 0}), "/a", v2(), "id")

    assert (plan.into, plan.enter) == ("/cg/a", [])
    assert ("/cg/a/pids.max", "1") in writes(plan)


def test_weight_alternatives() -> None:
    """blockIO.weight goes to BFQ's file where that exists, else to io.weight on its scale."""
    plan = compile_cgroup(resources(blockIO={"weight": 500}), "/a", v2(), "id")

    assert [values for name, _, values, _ in plan.steps if name == "write_either"] == [
        ("/cg/a/io.bfq.weight", "default 500", "/cg/a/io.weight", "default 4950")
    ]


# -- without permission ----------------------------------------------------------------------------------------------


def test_rootless_without_permission() -> None:
    """Nothing asked: nothing made. A limit or a path: an error that says why. No device rules in any case."""
    layout = v2()
    layout.writable = False
    plan = compile_cgroup(resources(devices=[{"allow": False}]), "", layout, "id", rootless=True)

    assert (plan.steps, plan.folders, plan.into, plan.device_program) == ([], [], None, None)
    for path, limits in (("box", {}), ("", {"pids": {"limit": 3}})):
        with pytest.raises(Failure, match="rootless needs no limits"):
            compile_cgroup(resources(**limits), path, layout, "id", rootless=True)


def test_rootless_with_permission() -> None:
    """Delegated: limits yes, device rules no."""
    plan = compile_cgroup(resources(pids={"limit": 3}), "", v2(), "id", rootless=True, devices=False)

    assert ("/cg/me/id/pids.max", "3") in writes(plan)
    assert plan.device_program is None


def test_no_hierarchy_at_all() -> None:
    """Devices that nobody can guard are an error, unless everything is allowed."""
    with pytest.raises(Failure, match="restrict devices"):
        compile_cgroup(None, "", Layout(), "id")
    assert compile_cgroup(resources(devices=[{"allow": True}]), "", Layout(), "id").folders == []


def test_kernel_memory_is_a_warning() -> None:
    """kernel and kernelTCP are accepted, ignored and warned about."""
    plan = compile_cgroup(resources(memory={"kernel": 1, "kernelTCP": 2}), "/a", v2(), "id")

    assert writes(plan) == []
    assert "kernel memory" in plan.warnings[0]


def test_import_budget() -> None:
    """Without limits two small modules are loaded, and nothing heavy."""
    script = """
import sys
from pyrunc.sandbox.cgroup.layout import Layout, Unified
import pyrunc.specs.errors
before = set(sys.modules)
from pyrunc.sandbox.cgroup import compile_cgroup
compile_cgroup(None, "/a", Layout((), Unified((), "/cg", "/")), "id")
print(*sorted(name for name in set(sys.modules) - before | {"pyrunc.sandbox.cgroup"} if name != "_struct"))
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{script}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.split() == ["pyrunc.sandbox.cgroup", "pyrunc.sandbox.cgroup.devices"]
