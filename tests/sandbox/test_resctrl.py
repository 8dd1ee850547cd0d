"""Groups of resctrl, on a tree made by hand: few machines can do it. What the kernel does when a folder is made or
removed there, the fixture does."""

from __future__ import annotations

import os
import posix
import shutil
from pathlib import Path
from typing import Any

import pytest

from pyrunc.sandbox import resctrl
from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.sandbox.facts import read_facts
from pyrunc.sandbox.resctrl import Groups, Resctrl
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.specs.sections import IntelRdt
from tests.specs.documents import small, spec_of

ROOT_SCHEMATA = "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n"


def rdt(**members: Any) -> IntelRdt:
    return IntelRdt(Node(members, "linux.intelRdt"))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resctrl:
    root = tmp_path / "resctrl"
    files = {
        "schemata": ROOT_SCHEMATA, "tasks": "", "info/last_cmd_status": "ok\n", "info/MB/bandwidth_gran": "10\n",
        "info/MB/min_bandwidth": "10\n", "info/MB/num_closids": "8\n", "info/L3/cbm_mask": "7ff\n",
        "info/L3/min_cbm_bits": "1\n", "info/L3/num_closids": "16\n",
        "info/L3_MON/mon_features": "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n",
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    real = posix.mkdir

    def mkdir(path: str, mode: int) -> None:
        real(path, mode)
        Path(path, "tasks").write_text("")
        os.makedirs(f"{path}/mon_data/mon_L3_00")
        for name, value in (("llc_occupancy", "5"), ("mbm_total_bytes", "9"), ("mbm_local_bytes", "Unavailable")):
            Path(path, "mon_data/mon_L3_00", name).write_text(f"{value}\n")
        if "/mon_groups/" not in path:
            Path(path, "schemata").write_text(ROOT_SCHEMATA)
            os.mkdir(f"{path}/mon_groups")

    monkeypatch.setattr(posix, "mkdir", mkdir)
    monkeypatch.setattr(posix, "rmdir", shutil.rmtree)
    found = resctrl.read_resctrl(f"1 2 0:3 / {root} rw - resctrl resctrl rw\n")
    assert found is not None
    return found


def make_all(where: Groups) -> list[str]:
    made = [where.path] if resctrl.make(where.path, where.rule, where.schemata) else []
    return made + ([where.monitor] if where.monitor and resctrl.make(where.monitor, "own", "") else [])


def test_where_it_is() -> None:
    """The mount point comes from mountinfo; without a mount there is none."""
    line = "30 20 0:27 / /mnt/my\\040resctrl rw,relatime - resctrl resctrl rw\n"
    assert resctrl.mount_point("21 20 0:4 / /proc rw - proc proc rw\n" + line) == "/mnt/my resctrl"
    assert resctrl.mount_point("21 20 0:4 / /proc rw - proc proc rw\n") == ""


def test_own_group(host: Resctrl) -> None:
    """Without closID the group has the container's id; schemata go in last; monitoring is a group below it. Both go
    with the container."""
    asked = rdt(l3CacheSchema="L3:0=f", memBwSchema="MB:0=20", schemata=["L3:1=1"], enableMonitoring=True)
    where = resctrl.groups(asked, "box", host)
    made = make_all(where)
    resctrl.enter(where.entered, 77)

    assert made == [f"{host.root}/box", f"{host.root}/box/mon_groups/box"]
    assert Path(made[0], "schemata").read_text().startswith("L3:0=f\nMB:0=20\nL3:1=1\n")
    assert Path(made[0], "tasks").read_text() == Path(made[1], "tasks").read_text() == "77"
    assert where.removable == made[::-1]

    resctrl.remove(where.removable)
    assert not os.path.exists(made[0])
    resctrl.remove(where.removable)  # gone already


@pytest.mark.parametrize(("asked", "same"), [
    ({"l3CacheSchema": "L3:1=7ff;0=07FF"}, True), ({"memBwSchema": "MB:0=91;1=100"}, True),
    ({"schemata": ["L3:0=7ff", "MB:00=100"]}, True), ({"l3CacheSchema": "L3:0=7fe"}, False),
    ({"memBwSchema": "MB:0=80"}, False), ({"schemata": ["L2:0=1"]}, False), ({"schemata": ["L3:5=7ff"]}, False),
])  # fmt: skip
def test_named_group(host: Resctrl, asked: dict[str, Any], same: bool) -> None:
    """A group by name is made when it is not there; one that is there has to have these schemata, as the hardware
    rounds them. It is never removed with the container."""
    first = resctrl.groups(rdt(closID="gold"), "box", host)
    posix.mkdir(first.path, 0o755)
    where = resctrl.groups(rdt(closID="gold", **asked), "box", host)
    assert where.removable == []
    if same:
        assert make_all(where) == []
    else:
        with pytest.raises(PyruncError, match="has other schemata"):
            make_all(where)
    assert Path(where.path, "schemata").read_text() == ROOT_SCHEMATA

    new = resctrl.groups(rdt(closID="silver", **asked), "box", host)
    assert make_all(new) == [new.path]


def test_preset_group(host: Resctrl) -> None:
    """A name without schemata means a group that somebody made; `/` is the one of all others."""
    with pytest.raises(Failure, match="must be pre-created"):
        make_all(resctrl.groups(rdt(closID="gold"), "box", host))
    whole = resctrl.groups(rdt(closID="/"), "box", host)

    assert make_all(whole) == []
    assert whole.entered == [host.root]
    assert whole.removable == []


def test_refused(host: Resctrl) -> None:
    """No resctrl, no kind of schema, no room: runc's texts, and what the kernel said."""
    with pytest.raises(PyruncError, match="intelRdt is specified in config, but Intel RDT is not enabled"):
        resctrl.groups(rdt(), "box", None)
    with pytest.raises(PyruncError, match="Intel RDT/CAT is not enabled"):
        resctrl.groups(rdt(l3CacheSchema="L3:0=1"), "box", Resctrl(host.root, caches=False))
    with pytest.raises(PyruncError, match="Intel RDT/MBA is not enabled"):
        resctrl.groups(rdt(memBwSchema="MB:0=1"), "box", Resctrl(host.root, memory=False))
    Path(host.root, "info/last_cmd_status").write_text("Unknown domain\n")
    with pytest.raises(Failure, match="last_cmd_status: Unknown domain"):
        resctrl.set_schemata(f"{host.root}/nowhere", "L3:9=1\n")


def test_failed_group_goes(host: Resctrl, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose schemata the kernel refuses is not left behind."""
    real = posix.mkdir

    def without_schemata(path: str, mode: int) -> None:
        real(path, mode)
        os.unlink(f"{path}/schemata")

    monkeypatch.setattr(posix, "mkdir", without_schemata)
    with pytest.raises(Failure):
        make_all(resctrl.groups(rdt(l3CacheSchema="L3:0=1"), "box", host))
    assert not os.path.exists(f"{host.root}/box")


def test_statistics(host: Resctrl) -> None:
    """What `events` shows of it, in runc's form."""
    where = resctrl.groups(rdt(enableMonitoring=True), "box", host)
    make_all(where)

    assert resctrl.read_stats(where, host) == {
        "l3_cache_info": {"cbm_mask": "7ff", "min_cbm_bits": 1, "num_closids": 16},
        "l3_cache_schema_root": "L3:0=7ff;1=7ff",
        "l3_cache_schema": "L3:0=7ff;1=7ff",
        "mem_bw_info": {"bandwidth_gran": 10, "min_bandwidth": 10, "num_closids": 8},
        "mem_bw_schema_root": "MB:0=100;1=100",
        "mem_bw_schema": "MB:0=100;1=100",
        "schemata": ["MB:0=100;1=100", "    L3:0=7ff;1=7ff"],
        "mbm_stats": [{"mbm_total_bytes": 9, "mbm_local_bytes": 0}],
        "cmt_stats": [{"llc_occupancy": 5}],
    }


def test_plan(host: Resctrl) -> None:
    """Groups are made before the launch and entered right after it, the group before its monitoring group."""
    document = small()
    document["linux"]["intelRdt"] = {"l3CacheSchema": "L3:0=1", "enableMonitoring": True}
    facts = read_facts()
    facts.resctrl = host
    plan = compile_create(spec_of(document), facts, Request("box", "/b", "/b/rootfs"))
    names = [item.name for item in plan.host if item.name != "listen"]
    launch = names.index("launch")

    assert names[launch - 2 : launch + 2] == ["make_resctrl", "make_resctrl", "launch", "enter_resctrl"]
    launch = [item.name for item in plan.host].index("launch")
    assert plan.host[launch + 1].values == ([f"{host.root}/box", f"{host.root}/box/mon_groups/box"],)
    assert plan.resctrl == [f"{host.root}/box/mon_groups/box", f"{host.root}/box"]
