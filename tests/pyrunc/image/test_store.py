"""The store: references, garbage, many at once, crashes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyrunc import images
from pyrunc.image import durable
from pyrunc.image.store import Store
from pyrunc.image.transport import describe
from pyrunc.specs.errors import Failure, Invalid, PyruncError
from tests.pyrunc.image.checking import names_in, stray_in, wrong_in
from tests.pyrunc.image.images import LOWER, UPPER, Layout
from tests.pyrunc.image.tars import archive, file

NAME = "docker.io/library/box:latest"
BLOB = "application/octet-stream"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box")
    return f"oci:{made.write()}:box"


def blobs(store: str) -> set[str]:
    return set(os.listdir(Path(store) / "blobs/sha256"))


def test_names(store: str, source: str) -> None:
    """An image has the names that it was given, until they are removed; then its bytes are garbage."""
    images.pull(source, store=store)
    images.tag("box", "other:2", store=store)

    assert {one["name"] for one in images.listing(store=store)} == {NAME, "docker.io/library/other:2"}

    images.remove("box", store=store)
    assert images.collect(store=store) == (0, 0)
    images.remove("other:2", store=store)
    count, freed = images.collect(store=store)

    assert (count, blobs(store)) == (4, set())
    assert freed > 0


def test_a_name_means_the_last_image(store: str, source: str, tmp_path: Path) -> None:
    """Pulling again under one name replaces what it meant, in one step."""
    images.pull(source, store=store)
    other = Layout(tmp_path / "other")
    other.image(UPPER, name="box")
    _, descriptor = images.pull(f"oci:{other.write()}:box", store=store)

    assert [one["digest"] for one in images.listing(store=store)] == [descriptor.digest]


def test_a_missing_name_is_said(store: str, source: str) -> None:
    """Nothing is removed or made when a name is not there."""
    with pytest.raises(PyruncError):
        images.remove("box", store=store)
    with pytest.raises(PyruncError):
        images.push("box", "docker-archive:" + store + ".tar", store=store)

    assert not os.path.exists(store)
    assert not os.path.exists(store + ".tar")


def test_foreign_members_of_the_index_stay(store: str, source: str) -> None:
    """index.json is changed, not made anew."""
    images.pull(source, store=store)
    path = Path(store) / "index.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps({**index, "annotations": {"a": "b"}, "x": [1]}))
    images.tag("box", "two", store=store)

    found = json.loads(path.read_text())
    assert (found["annotations"], found["x"], len(found["manifests"])) == ({"a": "b"}, [1], 2)


def test_wrong_bytes_never_appear(store: str) -> None:
    """A blob that is not what its descriptor says leaves nothing, not even a name of its own."""
    target = Store(store).destination("box")
    wanted = describe(BLOB, b"right")
    for wrong in ([b"wrong"], [b"right", b"more"], [b"rig"], []):
        with pytest.raises(Invalid):
            target.put_blob(wanted, iter(wrong))
    target.close()

    assert blobs(store) == set()


def test_a_torn_blob_is_replaced(store: str, source: str) -> None:
    """A file of the wrong size is no blob: pulling again heals it."""
    images.pull(source, store=store)
    whole = {path.name: path.read_bytes() for path in (Path(store) / "blobs/sha256").iterdir()}
    for name in whole:
        (Path(store) / "blobs/sha256" / name).write_bytes(b"")
    images.pull(source, store=store)

    assert {path.name: path.read_bytes() for path in (Path(store) / "blobs/sha256").iterdir()} == whole


def test_file_systems_without_nameless_files(store: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where O_TMPFILE is not to be had, files have a name that garbage collection knows."""
    real = os.open

    def refuse(path: str, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    images.pull(source, store=store)
    (Path(store) / "blobs/sha256" / f"{durable.LEFTOVER}1-a").write_bytes(b"left by a crash")

    assert images.collect(store=store)[0] == 1
    assert len(blobs(store)) == 4


def test_garbage_waits_for_who_is_adding(store: str, source: str) -> None:
    """Blobs that nothing names yet are not garbage while somebody adds them."""
    target = Store(store).destination("box")
    target.put_blob(describe(BLOB, b"new"), iter([b"new"]))
    program = f"from pyrunc import images; images.collect(store={store!r})"
    child = subprocess.Popen([sys.executable, "-c", program])
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1)
        assert len(blobs(store)) == 1
    finally:
        target.close()
    child.wait(20)

    assert blobs(store) == set()


def test_many_at_once(store: str, source: str) -> None:
    """Processes that add and collect at the same time lose nothing."""
    program = (
        "import sys; from pyrunc import images\n"
        "name, source, store = sys.argv[1:]\n"
        "for number in range(5):\n"
        "    images.pull(source, name=f'{name}:{number}', store=store); images.collect(store=store)\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, name, source, store]) for name in ("a", "b", "c")]

    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert len(images.listing(store=store)) == 15
    assert len(blobs(store)) == 4


LIFE = """
import json, os, random, shutil, sys
from pyrunc import images
number, seed, place, sources = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
random.seed(seed)
store, own = f"{place}/store", f"own-{number}:1"
for turn in range(3):
    source = random.choice(sources)
    images.pull(source, name="shared", store=store)
    images.pull(random.choice(sources), name=own, store=store)
    images.tag(own, f"other-{number}", store=store)
    bundle = f"{place}/box-{number}-{seed}-{turn}"
    images.unpack(random.choice([own, "shared"]), bundle, store=store)
    assert open(f"{bundle}/rootfs/mark").read() in "0123"
    shutil.rmtree(bundle)
    images.remove(f"other-{number}", store=store)
    images.collect(store=store)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [0, 12])
def test_ten_lives(tmp_path: Path, root: None, kills: int) -> None:
    """Ten processes pull the same and other images under one name, unpack, tag, remove and collect, and some are
    killed: nobody else notices, and the store is valid."""
    sources = []
    for number in range(4):
        made = Layout(tmp_path / f"source-{number}")
        made.image(LOWER, archive(file(b"mark", b"%d" % number), file(b"big", os.urandom(1_500_000))), name="box")
        sources.append(f"oci:{made.write()}:box")

    def start(number: int, seed: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", LIFE, str(number), str(seed), str(tmp_path), *sources])

    children = [start(number, number) for number in range(10)]
    for kill in range(kills):
        time.sleep(0.3)
        number = kill % 10
        children[number].kill()
        children[number].wait()
        children[number] = start(number, 100 + kill)

    assert [child.wait(200) for child in children] == [0] * 10
    store = tmp_path / "store"
    assert wrong_in(store) == []
    own = {f"own-{number}:1" for number in range(10)}
    assert {name.rpartition("/")[2] for name in names_in(store)} >= {"shared:latest", *own}
    images.collect(store=str(store))
    assert stray_in(store) == []


def test_killed_at_any_moment(store: str, tmp_path: Path) -> None:
    """After kill -9 the store is valid, each blob that is there is whole, and the next pull completes it."""
    made = Layout(tmp_path / "big")
    made.image(*(os.urandom(300_000) for _ in range(5)), name="box")
    source = f"oci:{made.write()}:box"
    program = f"from pyrunc import images; print('go', flush=True); images.pull({source!r}, store={store!r})"
    for step in range(10):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.03 * step)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        for path in Path(store).glob("blobs/sha256/*"):
            assert describe(BLOB, path.read_bytes()).digest == f"sha256:{path.name}"
        assert all("error" not in one for one in images.listing(store=store))
        if step % 2:  # what is there already is skipped, so that later kills need an empty store
            shutil.rmtree(store, ignore_errors=True)
    images.pull(source, store=store)

    assert len(blobs(store)) == 7


def test_a_full_disk(tmp_path: Path, root: None) -> None:
    """ENOSPC is one clear error; nothing torn is left, and with room again the pull goes through."""
    made = Layout(tmp_path / "big")
    made.image(LOWER, blobs=[made.blob(os.urandom(2_000_000), "application/x")], name="box")
    source, full = f"oci:{made.write()}:box", tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(full)], check=True)
    try:
        with pytest.raises(Failure, match="cannot write .*ENOSPC"):
            images.pull(source, store=str(full / "store"))
        for path in full.glob("store/blobs/sha256/*"):
            assert describe(BLOB, path.read_bytes()).digest == f"sha256:{path.name}"
        assert images.listing(store=str(full / "store")) == []
        subprocess.run(["mount", "-o", "remount,size=4m", str(full)], check=True)
        images.pull(source, store=str(full / "store"))
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    """A store that cannot be made is one clear error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot make the image layout .*ENOTDIR"):
        Store(str(tmp_path / "file" / "x")).destination("box")
