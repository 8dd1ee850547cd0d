"""Commands of images killed anywhere: the store is valid at every moment, no half of anything has the name of the
whole, the same command once more goes through, and then nothing is left of the first.

Points are chosen as in test_kill.py; the threads of a command, which fetch and unpack, are its second and third role.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrunc import images
from tests.pyrunc.image.checking import blobs, names_in, stray_in, tree_of, wrong_in
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file
from tests.pyrunc.image.tars import folder as directory

from ..system.runtime import Result, Runtime
from .points import Killer, Point, sweep
from .test_kill import Tried

pytestmark = pytest.mark.timeout(3000)


def steps(some: int) -> pytest.MarkDecorator:
    """Every `some`-th point, and in the soak about a hundred."""
    return pytest.mark.parametrize("step", [some, pytest.param(5, marks=pytest.mark.soak, id="hundred")])


LAYERS = (
    archive(directory(b"etc"), file(b"etc/passwd", b"root:x:0:0::/:/\n"), *(file(b"f%d" % n, b"x") for n in range(40))),
    archive(file(b"big", os.urandom(3_000_000))),
    archive(file(b".wh.f1"), directory(b"new"), file(b"new/a", b"a", mode=0o4755)),
)


class Place:
    """A folder for what one command makes, anew for each point, and the image that it makes it of."""

    def __init__(self, base: Path, runtime: Runtime) -> None:
        made = Layout(base / "source")
        made.image(*LAYERS, name="box")
        self.source = f"oci:{made.write()}:box"
        self.base = base
        self.path = base / "place"
        self.store = self.path / "store"
        self.runtime = runtime
        images.unpack(self.source, str(base / "whole"))
        self.tree = tree_of(base / "whole/rootfs")

    def renew(self, stored: bool) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        if stored:
            images.pull(self.source, name="a/box", store=str(self.store))

    def image(self, *arguments: str) -> Result:
        return self.runtime("image", *arguments, env={"TMPDIR": str(self.path)})

    def torn(self, bundle: Path) -> str:
        """What is wrong with a bundle that has a name."""
        if not bundle.exists():
            return ""
        return "" if tree_of(bundle / "rootfs") == self.tree else f"{bundle.name} is not what the image is"

    def left(self) -> str:
        images.collect(store=str(self.store))
        found = stray_in(self.path)
        return f"left behind: {found}" if found else ""


@pytest.fixture
def place(folder: Path, runtime: Runtime, killer: Killer) -> Iterator[Place]:
    base = folder / "images"
    base.mkdir()
    yield Place(base, runtime)
    shutil.rmtree(base)


def killed(
    place: Place, killer: Killer, step: int, stored: bool, act: Callable[[], Result], check: Callable[[], str]
) -> int:
    """Kills `act` in a new place at each point; what is wrong then, after `act` once more, and with what is left."""

    def once(point: Point | None) -> Result:
        place.renew(stored)
        with killer.over(place.runtime, point):
            return act()

    def judge(index: int, result: Result) -> str:
        wrong = "; ".join(wrong_in(place.store)) or check()
        if wrong:
            return f"after the kill: {wrong}"
        if not result.ok:
            again = act()
            wrong = repr(again) if not again.ok else "; ".join(wrong_in(place.store)) or check()
        return f"after another try: {wrong}" if wrong else place.left()

    return sweep(killer, step, once, judge)


@steps(60)
def test_pull(killer: Killer, place: Place, tried: Tried, step: int) -> None:
    """`pull`: blobs are whole, and the name is there only with all that it means."""

    def act() -> Result:
        return place.image("pull", "--store", str(place.store), "--name", "a/box", place.source)

    def check() -> str:
        return "" if not names_in(place.store) or len(blobs(place.store)) == 5 else "a name without its blobs"

    tried(killed(place, killer, step, False, act, check))


@steps(80)
@pytest.mark.parametrize("exists", [False, True], ids=["new", "existing"])
def test_unpack(killer: Killer, place: Place, tried: Tried, step: int, exists: bool) -> None:
    """`unpack`: a bundle with a config.json is all there."""
    bundle = place.path / "box"

    def act() -> Result:
        if exists:
            bundle.mkdir(exist_ok=True)
        elif bundle.exists():
            shutil.rmtree(bundle)  # it was whole when the command was killed
        if (bundle / "config.json").exists():
            shutil.rmtree(bundle)
            bundle.mkdir()
        return place.image("unpack", place.source, str(bundle))

    def check() -> str:
        return place.torn(bundle) if (bundle / "config.json").exists() or not exists else ""

    tried(killed(place, killer, step, False, act, check))


@steps(60)
def test_copy_into_an_archive(killer: Killer, place: Place, tried: Tried, step: int) -> None:
    """`copy` into an archive: it is there and whole, or not there."""
    target = place.path / "box.tar"

    def act() -> Result:
        target.unlink(missing_ok=True)
        return place.image("copy", place.source, f"oci-archive:{target}:box")

    def check() -> str:
        if target.exists():
            images.copy(f"oci-archive:{target}:box", f"dir:{place.base}/dir")
        return ""

    tried(killed(place, killer, step, False, act, check))


@steps(60)
def test_copy_into_a_folder(killer: Killer, place: Place, tried: Tried, step: int) -> None:
    """`copy` into a folder of skopeo: one with a manifest.json is whole."""
    target = place.path / "dir"

    def act() -> Result:
        return place.image("copy", place.source, f"dir:{target}")

    def check() -> str:
        if (target / "manifest.json").exists():
            images.copy(f"dir:{target}", f"oci:{place.base}/other:box")
        return ""

    tried(killed(place, killer, step, False, act, check))


@steps(40)
@pytest.mark.parametrize("command", ["tag", "rm", "gc"])
def test_names(killer: Killer, place: Place, tried: Tried, step: int, command: str) -> None:
    """`tag`, `rm` and `gc`: a name that was there before, and was not meant, is there with all its blobs."""

    def act() -> Result:
        store = ["--store", str(place.store)]
        if command == "gc":
            (place.store / "blobs/sha256" / hashlib.sha256(b"garbage").hexdigest()).write_bytes(b"garbage")
            return place.image("gc", *store)
        if command == "tag":
            return place.image("tag", *store, "a/box", "b")
        images.tag("a/box", "b", store=str(place.store))
        return place.image("rm", *store, "b")

    def check() -> str:
        return "" if any("a/box" in name for name in names_in(place.store)) else "the other name is lost"

    tried(killed(place, killer, step, True, act, check))


@steps(90)
def test_repack(killer: Killer, place: Place, tried: Tried, step: int) -> None:
    """`repack`: the new image has its name only when it is whole, and the bundle is what it was."""
    bundle = place.path / "box"

    def act() -> Result:
        if not bundle.exists():
            images.unpack(place.source, str(bundle))
            (bundle / "rootfs/etc/new").write_text("new")
            (bundle / "pyrunc.image.json").unlink()
        return place.image("repack", "--base", place.source, "--store", str(place.store), str(bundle), "b")

    def check() -> str:
        return "" if (bundle / "rootfs/etc/new").read_text() == "new" else "the bundle has changed"

    tried(killed(place, killer, step, False, act, check))
