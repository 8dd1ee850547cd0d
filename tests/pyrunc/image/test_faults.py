"""What a machine can refuse: room, files, writing, rights, a network. One clear error each time, and nothing is lost,
torn or left."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrunc import images
from pyrunc.specs.errors import Failure
from tests.pyrunc.image.checking import names_in, stray_in, wrong_in
from tests.pyrunc.image.images import LOWER, UPPER, Layout
from tests.pyrunc.image.tars import archive, file
from tests.system.runtime import ENVIRONMENT, default_command

UID = 64322
BOX = "docker.io/library/box:latest"
Act = Callable[[str, Path], object]


@contextmanager
def tmpfs(place: Path, options: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "faults", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, archive(*(file(b"f%d" % n, os.urandom(9000)) for n in range(20))), UPPER, name="box")
    return f"oci:{made.write()}:box"


def repack(source: str, place: Path) -> object:
    """The bundle is elsewhere; the new layer goes through $TMPDIR, which is PLACE, into the store there."""
    return images.repack(str(place.parent / "bundle"), "b", base=source, store=str(place / "store"))


WRITING: dict[str, Act] = {
    "pull": lambda source, place: images.pull(source, store=str(place / "store")),
    "unpack": lambda source, place: images.unpack(source, str(place / "box")),
    "unpack --layers": lambda source, place: images.unpack(
        source, str(place / "box"), layers=True, store=str(place / "store")
    ),
    "copy oci-archive": lambda source, place: images.copy(source, f"oci-archive:{place}/box.tar:box"),
    "copy docker-archive": lambda source, place: images.copy(source, f"docker-archive:{place}/box.tar"),
    "copy dir": lambda source, place: images.copy(source, f"dir:{place}/dir"),
    "copy oci": lambda source, place: images.copy(source, f"oci:{place}/store:box"),
    "repack": repack,
}


@pytest.mark.parametrize("limit", ["room", "files"])
@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk(
    name: str, limit: str, source: str, tmp_path: Path, root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much fits: ENOSPC is one error, what is there is whole, and with enough it goes through."""
    images.unpack(source, str(tmp_path / "bundle"))
    (tmp_path / "bundle/rootfs/more").write_bytes(os.urandom(50_000))
    place, failures = tmp_path / "full", 0
    monkeypatch.setattr("tempfile.tempdir", str(place))
    for amount in range(1, 60):
        with tmpfs(place, f"size={amount * 24}k" if limit == "room" else f"nr_inodes={amount + 1}"):
            try:
                WRITING[name](source, place)
            except Failure as error:
                assert "ENOSPC" in str(error), error
                failures += 1
                assert wrong_in(place / "store") == [] and names_in(place / "store") == set()
                assert stray_in(place) == []
                left = {path.name for path in place.iterdir()}
                assert left <= {"store", "dir"}, left
            else:
                assert wrong_in(place / "store") == []
                break
    else:
        pytest.fail("it does not go through at all")
    assert failures >= 3


def test_names_on_a_full_disk(source: str, tmp_path: Path, root: None) -> None:
    """`tag` and `rm` where nothing can be written: one error, no name is lost; `gc` makes room."""
    place, store = tmp_path / "full", str(tmp_path / "full/store")
    with tmpfs(place, "size=1m"):
        images.pull(source, store=store)
        (place / "store/blobs/sha256" / ("0" * 64)).write_bytes(b"garbage" * 1000)
        with (place / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError):
            while True:
                ballast.write(bytes(1000))
        for act in (lambda: images.tag("box", "b", store=store), lambda: images.remove("box", store=store)):
            with pytest.raises(Failure, match="cannot write .*index.json: ENOSPC"):
                act()
        assert names_in(place / "store") == {BOX} and stray_in(place) == []
        images.collect(store=store)
        images.tag("box", "b", store=store)

        assert wrong_in(place / "store") == [] and len(names_in(place / "store")) == 2


CHANGING: dict[str, Act] = {
    **WRITING,
    "tag": lambda source, place: images.tag("box", "b", store=str(place / "store")),
    "rm": lambda source, place: images.remove("box", store=str(place / "store")),
    "gc": lambda source, place: images.collect(store=str(place / "store")),
}
READING: dict[str, Act] = {
    "ls": lambda store, place: images.listing(store=store),
    "inspect": lambda store, place: images.inspect("box", store=store),
    "history": lambda store, place: images.history("box", store=store),
    "unpack": lambda store, place: images.unpack("box", str(place / "box"), store=store),
    "push": lambda store, place: images.push("box", f"oci:{place}/layout:box", store=store),
}


@pytest.mark.parametrize("name", CHANGING)
def test_a_read_only_place(
    name: str, source: str, tmp_path: Path, root: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would change something is one error, EROFS, and changes nothing."""
    images.unpack(source, str(tmp_path / "bundle"))
    (tmp_path / "bundle/rootfs/more").write_bytes(b"more")
    place = tmp_path / "place"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with tmpfs(place, "size=4m"):
        if name not in ("pull", "unpack --layers"):
            images.pull(source, store=str(place / "store"))
            (place / "store/blobs/sha256" / ("0" * 64)).write_bytes(b"garbage")
        before = sorted(place.rglob("*"))
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        with pytest.raises(Failure, match="EROFS"):
            CHANGING[name](source, place)
        assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("name", READING)
def test_a_read_only_store(name: str, source: str, tmp_path: Path, root: None) -> None:
    """What only reads reads."""
    place = tmp_path / "place"
    with tmpfs(place, "size=4m"):
        images.pull(source, store=str(place / "store"))
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        READING[name](str(place / "store"), tmp_path)


# -- rights and networks, which only another process lacks -------------------------------------------------------------


def image(*arguments: str, below: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*below, default_command(), "image", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)


def refusal(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One error with these words, exit code 1."""
    assert done.returncode == 1, done
    assert done.stderr.count("level=error") == 1 and "internal error" not in done.stderr, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


@pytest.fixture
def place(tmp_path: Path, root: None) -> Iterator[Path]:
    """A folder that users can enter."""
    made = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


USER = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
COMMANDS = (("ls",), ("inspect", "box"), ("pull", "{source}"), ("tag", "box", "b"), ("rm", "box"), ("gc",))


def usable() -> None:
    if subprocess.run([*USER, default_command(), "--version"], capture_output=True).returncode:
        pytest.skip("pyrunc is out of reach for other users")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_somebody_elses_store(arguments: tuple[str, ...], source: str, place: Path) -> None:
    """A store that only root may look into is an error that names it, not an empty store."""
    usable()
    shutil.copytree(source.split(":")[1], place / "source")
    images.pull(source, store=str(place / "store"))
    before = (place / "store/index.json").read_bytes()
    words = [word.format(source=f"oci:{place}/source:box") for word in arguments]
    done = image(*words, "--store", str(place / "store"), below=USER)

    refusal(done, "EACCES", str(place / "store"))
    assert (place / "store/index.json").read_bytes() == before


@pytest.mark.parametrize("arguments", COMMANDS[2:], ids=" ".join)
def test_a_store_to_be_read(arguments: tuple[str, ...], source: str, place: Path) -> None:
    """One that everybody may read, and only root change: so it is."""
    usable()
    shutil.copytree(source.split(":")[1], place / "source")
    images.copy(source, f"oci:{place}/store:{BOX}")
    (place / "store/blobs/sha256" / ("0" * 64)).write_bytes(b"garbage")
    words = [word.format(source=f"oci:{place}/source:box") for word in arguments]
    done = image(*words, "--store", str(place / "store"), below=USER)

    refusal(done, "EACCES", str(place / "store"))
    assert names_in(place / "store") == {BOX} and (place / "store/blobs/sha256" / ("0" * 64)).exists()
    assert image("inspect", "box", "--store", str(place / "store"), below=USER).returncode == 0


@pytest.mark.parametrize("name", ["localhost:5000/a/b:1", "registry.example/a/b:1", "192.0.2.1:5000/a/b:1"])
@pytest.mark.parametrize("command", ["pull", "unpack"])
def test_no_network(name: str, command: str, place: Path) -> None:
    """A machine without a network: one error that names the registry, soon, and no store is made."""
    target = ["--store", str(place / "store")] if command == "pull" else [str(place / "box")]
    done = image(command, f"docker://{name}", *target, below=("unshare", "--net"))

    refusal(done, name.partition("/")[0].partition(":")[0])
    assert list(place.iterdir()) == []
