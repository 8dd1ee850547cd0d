"""The power lost at any moment of what is done to a store and with bundles: what had been reported as done is there,
nothing is torn, and the next commands go through. Every write to the disk is logged, and the log replayed up to some
points; at every other one, of what was not flushed only a part that chance chose."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from pyrunc import images
from tests.pyrunc.image.checking import names_in, stray_in, tree_of, wrong_in
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file
from tests.pyrunc.image.tars import folder as directory

from .disk import logged, mounted, need
from .writes import Replay

pytestmark = pytest.mark.timeout(1500)

OPTIONS = {"ordered": "data=ordered", "writeback": "data=writeback,noauto_da_alloc"}
FIRST = (
    archive(directory(b"etc"), file(b"etc/passwd", b"me:x:1:1::/:/\n"), *(file(b"f%d" % n, b"x") for n in range(60))),
    archive(file(b"big", os.urandom(2_500_000)), file(b".wh.f1")),
)
SECOND = (FIRST[0], archive(file(b"other", os.urandom(300_000)), directory(b"etc", mode=0o700)))
TREES: dict[str, dict[str, tuple[object, ...]]] = {}
BUNDLES = {"one": "first", "two": "second", "stacked": "first"}


class Step:
    """What is done, and what is known afterwards: names of the store that mean something, bundles that are there."""

    def __init__(self, act: Callable[[Path], None], names: set[str], bundles: set[str]) -> None:
        self.act = act
        self.names = names
        self.bundles = bundles


def steps(source: str) -> list[Step]:
    """A life of a store; SOURCE is a layout outside of the disk."""

    def pull(image: str, name: str) -> Callable[[Path], None]:
        return lambda disk: images.pull(f"{source}:{image}", name=name, store=str(disk / "store")) and None

    def unpack(bundle: str) -> Callable[[Path], None]:
        return lambda disk: images.unpack(f"{source}:{BUNDLES[bundle]}", str(disk / bundle))

    def stack(disk: Path) -> None:
        images.unpack(f"{source}:first", str(disk / "stacked"), layers=True, store=str(disk / "store"))

    def store(act: Callable[..., object], *names: str) -> Callable[[Path], None]:
        return lambda disk: act(*names, store=str(disk / "store")) and None

    return [
        Step(pull("first", "a/x"), {"a/x"}, set()),
        Step(unpack("one"), {"a/x"}, {"one"}),
        Step(store(images.tag, "a/x", "kept"), {"a/x", "kept"}, {"one"}),
        Step(pull("second", "a/x"), {"a/x", "kept"}, {"one"}),
        Step(unpack("two"), {"a/x", "kept"}, {"one", "two"}),
        Step(store(images.remove, "kept"), {"a/x"}, {"one", "two"}),
        Step(store(images.collect), {"a/x"}, {"one", "two"}),
        Step(stack, {"a/x"}, {"one", "two", "stacked"}),
    ]


def short(names: set[str]) -> set[str]:
    return {name.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest") for name in names}


def wrong_on(disk: Path, done: list[Step], doing: list[Step]) -> list[str]:
    """What is not as it has to be after all of DONE and some of DOING, one step."""
    wrong = wrong_in(disk / "store")
    before = done[-1] if done else Step(lambda path: None, set(), set())
    after = doing[0] if doing else before
    names = short(names_in(disk / "store"))
    if names not in (before.names, after.names):
        wrong.append(f"the names are {names}, not {before.names} or {after.names}")
    there = {path.name for path in disk.iterdir() if path.name in BUNDLES}
    if not before.bundles <= there <= after.bundles:
        wrong.append(f"the bundles are {there}, not {before.bundles} or {after.bundles}")
    return wrong + [f"the bundle {name} is torn" for name in there if torn(disk / name)]


def torn(bundle: Path) -> bool:
    try:
        whole = bool(json.loads((bundle / "config.json").read_text()))
    except (OSError, ValueError):
        return True
    return not whole or tree(bundle) != TREES[BUNDLES[bundle.name]]


def tree(bundle: Path) -> dict[str, tuple[object, ...]]:
    if not (bundle / "layers").exists():
        return tree_of(bundle / "rootfs")
    images.mount(str(bundle))
    try:
        return tree_of(bundle / "rootfs")
    finally:
        images.umount(str(bundle))


def heal(disk: Path, source: str) -> list[str]:
    """The next commands go through, and nothing is left of what had been begun."""
    store = str(disk / "store")
    images.pull(f"{source}:first", name="a/new", store=store)
    images.pull(f"{source}:second", name="a/x", store=store)
    images.collect(store=store)
    images.unpack("a/new", str(disk / "fresh"), store=store)
    images.unpack("a/new", str(disk / "stacked-again"), layers=True, store=store)
    wrong = wrong_in(disk / "store") + [f"left behind: {name}" for name in stray_in(disk)]
    new = [name for name in ("fresh", "stacked-again") if tree(disk / name) != TREES["first"]]
    return wrong + [f"the new bundle {name} is not what the image is" for name in new]


@pytest.mark.parametrize("mode", OPTIONS)
@pytest.mark.parametrize("points", [20, pytest.param(150, marks=pytest.mark.soak)])
def test_power_loss(tmp_path: Path, root: None, mode: str, points: int) -> None:
    """At no point is anything torn, or lost that had been said to be done."""
    need()
    made = Layout(tmp_path / "source")
    for name, layers in (("first", FIRST), ("second", SECOND)):
        made.image(*layers, name=name)
        made.write()
        images.unpack(f"oci:{made.path}:{name}", str(tmp_path / name))
        TREES[name] = tree_of(tmp_path / name / "rootfs")
    source = f"oci:{made.path}"
    todo, ends = steps(source), list[int]()
    with logged(tmp_path, OPTIONS[mode]) as (disk, log, before):
        for step in todo:
            step.act(disk)
            ends.append(log.read())
    total = log.read()
    replay, problems = Replay(log, before), list[str]()
    for index, number in enumerate(sorted(Random(7).sample(range(total + 1), min(points, total + 1)))):
        copy = tmp_path / f"copy-{number}"  # each of its own: a loop device may outlive its mount for a moment
        replay.after(number, copy, Random(number) if index % 2 else None)
        done = sum(end <= number for end in ends)
        with mounted(copy, disk, "loop"):
            found = wrong_on(disk, todo[:done], todo[done : done + 1]) or heal(disk, source)
        copy.unlink()
        problems += [f"after {number} of {total} writes, {done} steps: {what}" for what in found]
    assert not problems, "\n".join(problems)
