"""Many containers at a time: the last costs what the first did, and afterwards nothing of them is left.

150 of them in `make test`, a thousand in `make soak`.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import host
from tests.system.box import Box
from tests.system.conftest import Bundle
from tests.system.runtime import Runtime

LIST_SECONDS = 0.15
RATIOS = {150: 1.5, 1000: 1.2}  # the smaller one is for machines that have other things to do
AROUND = 25  # creations whose quickest is "the tenth" and "the last": a single one is at the mercy of the machine


class Many:
    """One bundle, of which any number of containers is made."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.runtime: Runtime = box.runtime
        self.ids: list[str] = []

    def create(self) -> float:
        id = f"{self.box.id}-{len(self.ids)}"
        self.box.linux["cgroupsPath"] = f"/{id}"
        self.box.write()
        begin = time.perf_counter()
        words = ("create", "--bundle", str(self.box.folder), id)
        result = self.runtime.with_files(*words, output=self.box.output, errors=self.box.errors)
        taken = time.perf_counter() - begin
        assert result.ok, result
        self.ids.append(id)
        return taken

    def delete(self) -> None:
        while self.ids:
            assert self.runtime("delete", "--force", self.ids[-1]).ok
            self.ids.pop()
            host.reap()


@pytest.fixture
def many(bundle: Bundle) -> Iterator[Many]:
    many = Many(bundle("sleep", "1000"))
    yield many
    many.delete()


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def files_of_kernel(word: str) -> dict[str, int]:
    """What may leak and can be counted: mounts and descriptors of ours, cgroups named after the box."""
    groups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if f"{word}-" in folder]
    mounts = len(Path("/proc/self/mountinfo").read_text().splitlines())
    return {"mounts": mounts, "fds": len(os.listdir("/proc/self/fd")), "cgroups": len(groups)}


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.soak)])
def test_many(many: Many, count: int) -> None:
    """The last creation costs at most 1.2 times an early one, `list` stays fast, and when all are deleted the machine
    has as many mounts, descriptors and cgroups as before (the fixtures look for processes, folders and names)."""
    many.create()  # warms caches
    before = files_of_kernel(many.box.id)
    taken = [many.create() for _ in range(count - 1)]
    early, late = min(taken[:AROUND]), min(taken[-AROUND:])

    times = []
    for _ in range(5):
        begin = children_seconds()  # what it takes of a processor: others may be at work on this machine
        listed = many.runtime("list", "--format", "json")
        times.append(children_seconds() - begin)
    seconds = min(times)
    print(f"{count} containers: early {early * 1000:.1f} ms, late {late * 1000:.1f} ms, list {seconds * 1000:.0f} ms")

    assert sorted(item["id"] for item in json.loads(listed.out)) == sorted(many.ids)
    assert {item["status"] for item in json.loads(listed.out)} == {"created"}
    while len(many.ids) > 1:
        assert many.runtime("delete", "--force", many.ids.pop()).ok
        host.reap()
    assert files_of_kernel(many.box.id) == before
    assert late <= RATIOS[count] * early
    assert seconds <= LIST_SECONDS
