"""Limits that change while a container lives: in force and remembered, or all as before. In real cgroups."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pyrunc import update as module
from pyrunc.sandbox.cgroup.layout import read_layout
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.store import Store

from .conftest import Keep, Sleeper

BEFORE = {"linux": {"resources": {"pids": {"limit": 50}, "memory": {"limit": 64 << 20, "swap": 96 << 20}}}}


class Limited:
    """A container of one process, in cgroups for processes and CPU time."""

    def __init__(self, store: Store, folders: list[str]) -> None:
        self.root = store.root
        self.folder = Path(store.path("box"))
        self.folders = folders

    def __getitem__(self, file: str) -> str:
        return next(Path(path, file) for path in self.folders if Path(path, file).exists()).read_text().strip()

    @property
    def remembered(self) -> Any:
        return json.loads((self.folder / "config.json").read_text())["linux"]["resources"]


@pytest.fixture
def box(store: Store, keep: Keep, sleeper: Sleeper, request: pytest.FixtureRequest) -> Limited:
    layout = read_layout()
    if os.geteuid() or not layout.writable:
        pytest.skip("needs root and cgroups")
    places = [h.mount for h in layout.hierarchies if {"pids", "cpu"} & set(h.controllers)]
    if not layout.hierarchies and layout.unified and {"pids", "cpu"} <= set(layout.unified.enabled):
        places = [layout.unified.mount]
    if not places:
        pytest.skip("needs the controllers pids and cpu")
    process = sleeper()
    folders = [f"{place}/pyrunc-test-{process.pid}" for place in places]
    for folder in folders:
        os.mkdir(folder)
        Path(folder, "cgroup.procs").write_text(str(process.pid))

    def remove() -> None:
        process.kill()
        process.wait()
        for folder in folders:
            os.rmdir(folder)

    request.addfinalizer(remove)
    keep("box", process, cgroups=folders)
    limited = Limited(store, folders)
    (limited.folder / "config.json").write_text(json.dumps(BEFORE))
    return limited


def test_in_force_and_remembered(box: Limited) -> None:
    """What is given is written and kept with what was there; nothing else is left in the folder."""
    module.update(box.root, "box", {"pids": {"limit": 7}, "devices": [{"allow": True}]})

    assert box["pids.max"] == "7"
    assert box.remembered == {**BEFORE["linux"]["resources"], "pids": {"limit": 7}}
    assert sorted(os.listdir(box.folder)) == ["config.json", "state"]


@pytest.mark.parametrize("bad", [{"cpu": {"quota": 1}}, {"rdma": {"none": {"hcaObjects": 1}}}])
def test_all_or_nothing(box: Limited, bad: dict[str, Any]) -> None:
    """When one limit cannot be set, none is, and none is remembered."""
    module.update(box.root, "box", {"pids": {"limit": 7}})
    with pytest.raises(Failure):
        module.update(box.root, "box", {"pids": {"limit": 8}, **bad})

    assert box["pids.max"] == "7"
    assert box.remembered["pids"] == {"limit": 7}
    assert sorted(os.listdir(box.folder)) == ["config.json", "state"]


def test_killed_between_two_writes(box: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed update has left half done is undone before the next one changes anything."""

    class Killed(BaseException):
        pass

    def half(writes: list[tuple[str, str, str, str]]) -> None:
        Path(writes[0][0]).write_text(writes[0][1])
        monkeypatch.setattr(module, "bring_back", lambda old: None)
        monkeypatch.setattr(module, "_finish", lambda folder, record: None)
        raise Killed

    module.update(box.root, "box", {"pids": {"limit": 7}})
    with monkeypatch.context() as patched:
        patched.setattr(module, "carry_out", half)
        with pytest.raises(Killed):
            module.update(box.root, "box", {"pids": {"limit": 8}})
    monkeypatch.undo()
    assert box["pids.max"] == "8"
    assert "update" in os.listdir(box.folder)

    module.update(box.root, "box", {})
    assert box["pids.max"] == "7"
    assert box.remembered["pids"] == {"limit": 7}
    assert sorted(os.listdir(box.folder)) == ["config.json", "state"]


def test_wrong_values(box: Limited) -> None:
    """What is no limit is refused before anything is written."""
    with pytest.raises(PyruncError, match="idle is 0 or 1"):
        module.update(box.root, "box", {"cpu": {"idle": 2}, "pids": {"limit": 3}})
    with pytest.raises(PyruncError, match="expected an integer"):
        module.update(box.root, "box", {"pids": {"limit": "many"}})

    assert box["pids.max"] == "max"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": None, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}),
        ({"cpu": {"quota": 5, "cpus": "0"}}, {"cpu": {"quota": 6}}, {"cpu": {"quota": 6, "cpus": "0"}}),
        (
            {"d": [{"major": 8, "minor": 0, "rate": 1}, {"major": 8, "minor": 1, "rate": 2}]},
            {"d": [{"major": 8, "minor": 1, "rate": 3}, {"major": 9, "minor": 1, "rate": 4}]},
            {"d": [
                {"major": 8, "minor": 0, "rate": 1}, {"major": 8, "minor": 1, "rate": 3},
                {"major": 9, "minor": 1, "rate": 4},
            ]},
        ),
        ({"h": [{"pageSize": "2MB", "limit": 1}]}, {"h": [{"pageSize": "2MB", "limit": 2}]},
         {"h": [{"pageSize": "2MB", "limit": 2}]}),
    ],
)  # fmt: skip
def test_merged(old: dict[str, Any], new: dict[str, Any], found: dict[str, Any]) -> None:
    """New values join old ones; entries of lists replace those of the same device, size or name."""
    assert module.merged(old, new) == found


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, None),
        ({"reservation": 5}, {"reservation": 5}),
        ({"limit": 70}, {"limit": 70, "swap": 96}),
        ({"swap": 80}, {"swap": 80, "limit": 64}),
        ({"limit": -1}, {"limit": -1}),
        ({"limit": -1, "swap": 80}, {"limit": -1, "swap": 80}),
    ],
)
def test_memory_and_swap_together(given: dict[str, int], asked: dict[str, int] | None) -> None:
    """Who moves the limit of memory moves what is left for swap: the total stays, unless it is given too."""
    changes = {"memory": given} if given else {}
    now = module.merged({"memory": {"limit": 64, "swap": 96}}, changes)

    assert module.with_memory(changes, now).get("memory") == asked
