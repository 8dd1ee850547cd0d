"""Commands that are stopped half-way, by a signal that they hear or by one that they do not: what is left is nothing,
or nothing after the next command. A registry that stalls in the middle of a layer says when half-way is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pyrunc import images
from tests.pyrunc.command import PACKAGES, PROGRAM
from tests.pyrunc.image.images import LOWER, MANIFEST, Layout, digest
from tests.pyrunc.image.registries import Faulty, need, reply
from tests.pyrunc.image.tars import archive, file

BIG = archive(file(b"big", os.urandom(6_000_000)), file(b"last", b"z"))


class Stalling(Faulty):
    """Sends half of the large layer while `armed`, says so by `half`, and no more before it is closed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        made = Layout(folder / "source")
        blob = made.blob(BIG, "application/vnd.oci.image.layer.v1.tar")
        lower = made.blob(LOWER, "application/vnd.oci.image.layer.v1.tar")
        entry = made.image(LOWER, BIG, blobs=[lower, blob])
        for path in (made.path / "blobs/sha256").iterdir():
            self.blobs[f"sha256:{path.name}"] = path.read_bytes()
        data = self.blobs.pop(entry["digest"])
        self.manifests = {"1": (MANIFEST, data), entry["digest"]: (MANIFEST, data)}
        self.big = str(blob["digest"])
        self.armed, self.half, self.over = False, Event(), Event()
        self.faults.append(self.stall)
        self.image = f"docker://{self.host}/a/box:1"

    def stall(self, request: Any) -> bool:
        if not self.armed or not request.path.endswith(self.big) or request.command != "GET":
            return False
        reply(request, 200, BIG[: len(BIG) // 2], length=len(BIG))
        request.wfile.flush()
        self.half.set()
        self.over.wait(60)
        request.close_connection = True
        return True

    def close(self) -> None:
        self.over.set()
        super().close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stalling]:
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    server = Stalling(tmp_path)
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def stopped(server: Stalling, place: Path, number: int, *arguments: str) -> int:
    """The exit status of a command that gets a signal in the middle of the large layer."""
    server.armed = True
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, PACKAGES, "image", *arguments]
    child = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(place)}, stderr=subprocess.PIPE)
    assert server.half.wait(30)
    has_begun(place, 1 << 20 if arguments[0] == "pull" else 1)
    child.send_signal(number)
    _, said = child.communicate(timeout=30)
    server.armed = False
    assert b"internal error" not in said, said
    return child.returncode


def has_begun(place: Path, size: int) -> None:
    """Something of this size is being made: a moment later than the registry has sent it."""
    end = Event()
    for _ in range(500):
        if any(item.stat().st_size >= size for item in place.rglob("*") if item.is_file()):
            return
        end.wait(0.02)
    raise AssertionError("nothing has been begun")


def left(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", HEARD)
def test_unpack(server: Stalling, place: Path, root: None, number: int) -> None:
    """A bundle that is not whole leaves nothing, and the exit code says which signal it was."""
    assert stopped(server, place, number, "unpack", server.image, str(place / "box")) == 128 + number
    assert left(place) == set()


@pytest.mark.parametrize("number", HEARD)
def test_unpack_into_a_folder(server: Stalling, place: Path, root: None, number: int) -> None:
    """The same in a folder that was there before, and stays."""
    (place / "box").mkdir()
    assert stopped(server, place, number, "unpack", server.image, str(place / "box")) == 128 + number
    assert left(place) == {"box"}


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_copy_into_an_archive(server: Stalling, place: Path, kind: str) -> None:
    """No archive, and nothing of what it would have been made of."""
    status = stopped(server, place, signal.SIGTERM, "copy", server.image, f"{kind}:{place}/box.tar:a/box")

    assert status == 128 + signal.SIGTERM
    assert left(place) == set()


def test_repack(server: Stalling, place: Path, tmp_path: Path, root: None) -> None:
    """The image that is unpacked for comparison, in $TMPDIR, goes."""
    box = tmp_path / "box"
    images.unpack(server.image, str(box))
    (box / "pyrunc.image.json").unlink()
    options = ["--base", server.image, "--store", str(tmp_path / "store")]
    status = stopped(server, place, signal.SIGTERM, "repack", *options, str(box), f"oci:{tmp_path}/new:box")

    assert status == 128 + signal.SIGTERM
    assert left(place) == set()


def test_hangups_that_are_ignored(server: Stalling, place: Path, root: None) -> None:
    """nohup(1) goes on for what it is started with."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, PACKAGES, "image", "unpack"]
        server.armed = True
        child = subprocess.Popen([*command, server.image, str(place / "box")])
    finally:
        signal.signal(signal.SIGHUP, before)
    assert server.half.wait(30)
    child.send_signal(signal.SIGHUP)
    server.armed = False
    server.over.set()  # the connection is gone, and the rest is fetched by another

    assert child.wait(30) == 0
    assert (place / "box/rootfs/last").read_text() == "z"


@pytest.mark.parametrize("exists", [False, True])
def test_unpack_after_kill(server: Stalling, place: Path, root: None, exists: bool) -> None:
    """What SIGKILL leaves of an unpacking goes with the next one in its place."""
    if exists:
        (place / "box").mkdir()
    assert stopped(server, place, signal.SIGKILL, "unpack", server.image, str(place / "box")) == -signal.SIGKILL
    assert any(".pyrunc-unpack-" in name for name in left(place))
    images.unpack(server.image, str(place / "box"))

    assert {path.name for path in place.iterdir()} == {"box"}
    assert {path.name for path in (place / "box").iterdir()} == {"rootfs", "config.json", "pyrunc.image.json"}
    assert (place / "box/rootfs/last").read_text() == "z"


def test_an_archive_after_kill(server: Stalling, place: Path) -> None:
    """The same for archives."""
    target = f"oci-archive:{place}/box.tar:a/box"
    assert stopped(server, place, signal.SIGKILL, "copy", server.image, target) == -signal.SIGKILL
    images.copy(server.image, target)

    assert {path.name for path in place.iterdir()} == {"box.tar"}


def kept(place: Path) -> Path:
    """The file in which the store PLACE has the beginning of a blob."""
    (found,) = place.glob(".new-*")
    return found


def whole(server: Stalling, place: Path) -> bool:
    """The store PLACE has the image, and nothing besides."""
    names = {path.name: digest(path.read_bytes()) for path in (place / "blobs/sha256").iterdir()}
    assert [one["name"] for one in images.listing(store=str(place))] == [f"{server.host}/a/box:1"]
    assert {path.name for path in place.iterdir()} == {"blobs", "index.json", "oci-layout"}
    return len(names) == 4 and all(found == f"sha256:{name}" for name, found in names.items())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_pull_goes_on(server: Stalling, place: Path, number: int) -> None:
    """What a pull had of a large blob need not be fetched again, and counts for nothing before it is all there."""
    store = ["--store", str(place)]
    stopped(server, place, number, "pull", *store, server.image)
    had = kept(place).stat().st_size
    server.requests.clear()
    assert images.listing(store=str(place)) == [] and had >= 1 << 20
    images.pull(server.image, store=str(place))

    assert [headers.get("Range") for headers in server.asked(server.big)] == [f"bytes={had}-"]
    assert whole(server, place)


DAMAGES = {
    "zeros": lambda data: bytes(len(data)),  # as a power loss makes them
    "one byte": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "all of it": lambda data: BIG,
    "more": lambda data: BIG + b"x" * 5000,
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_beginning(server: Stalling, place: Path, damage: str) -> None:
    """Whatever is in the file that is kept, what comes out is the blob."""
    stopped(server, place, signal.SIGKILL, "pull", "--store", str(place), server.image)
    path = kept(place)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    images.pull(server.image, store=str(place))

    assert whole(server, place)


def test_a_link_for_a_beginning(server: Stalling, place: Path, tmp_path: Path) -> None:
    """What is no file is neither followed nor in the way."""
    (tmp_path / "other").write_bytes(b"untouched")
    link = place / f".new-{server.big.partition(':')[2]}"
    link.symlink_to(tmp_path / "other")
    images.pull(server.image, store=str(place))
    images.collect(store=str(place))

    assert (tmp_path / "other").read_bytes() == b"untouched"
    assert whole(server, place)


def test_garbage_of_a_pull(server: Stalling, place: Path) -> None:
    """What is kept of a blob goes with the garbage."""
    stopped(server, place, signal.SIGKILL, "pull", "--store", str(place), server.image)
    had = kept(place).stat().st_size
    count, freed = images.collect(store=str(place))

    assert list((place / "blobs/sha256").iterdir()) + list(place.glob(".new-*")) == []
    assert count >= 1 and freed >= had


@pytest.mark.parametrize("tool", ["umoci", "skopeo"])
def test_other_tools_and_beginnings(server: Stalling, place: Path, tmp_path: Path, root: None, tool: str) -> None:
    """Who reads the store as a layout does not mind what is kept in it."""
    need(tool)
    stopped(server, place, signal.SIGKILL, "pull", "--store", str(place), server.image)
    images.copy(server.image, f"oci:{tmp_path}/layout:box")
    (tmp_path / "layout" / kept(place).name).write_bytes(kept(place).read_bytes())
    commands = {
        "skopeo": [["inspect", f"oci:{tmp_path}/layout:box"], ["copy", f"oci:{tmp_path}/layout:box", f"dir:{place}/d"]],
        "umoci": [["stat", "--image", f"{tmp_path}/layout:box"], ["gc", "--layout", f"{tmp_path}/layout"]],
    }
    for command in commands[tool]:
        subprocess.run([tool, *command], check=True, capture_output=True)


def test_two_pull_the_same(server: Stalling, place: Path) -> None:
    """Who is second does not wait for the beginning that the first is adding to, and the first one ends well."""
    server.armed = True
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, PACKAGES, "image", "pull"]
    child = subprocess.Popen([*command, "--store", str(place), server.image], stdout=subprocess.DEVNULL)
    assert server.half.wait(30)
    has_begun(place, 1 << 20)
    server.armed = False
    images.pull(server.image, store=str(place))
    assert kept(place).stat().st_size < len(BIG)
    server.over.set()

    assert child.wait(30) == 0
    assert whole(server, place)


def test_what_is_in_use_stays(server: Stalling, place: Path, root: None) -> None:
    """Nobody removes what another one is working in."""
    server.armed = True
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, PACKAGES, "image", "unpack"]
    child = subprocess.Popen([*command, server.image, str(place / "one")])
    assert server.half.wait(30)
    has_begun(place, 1)
    server.armed = False
    images.unpack(server.image, str(place / "two"))
    server.over.set()

    assert child.wait(30) == 0
    assert {path.name for path in place.iterdir()} == {"one", "two"}


def test_a_folder_of_somebody_else_stays(server: Stalling, place: Path, root: None) -> None:
    """Only what the caller has made himself can be what a crash of his has left."""
    other = place / ".pyrunc-unpack-other"
    other.mkdir()
    os.chown(other, 4321, 4321)
    images.unpack(server.image, str(place / "box"))

    assert {path.name for path in place.iterdir()} == {"box", other.name}


def test_a_bundle_half_moved(server: Stalling, place: Path, root: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the moves into a folder that was there: the next unpacking begins anew instead of refusing."""
    (place / "box").mkdir()
    rename = os.rename

    def fails(source: str, target: str) -> None:
        if source.endswith("config.json"):
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(os, "rename", fails)
            images.unpack(server.image, str(place / "box"))
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert {path.name for path in (place / "box").iterdir()} >= {"rootfs"}
    images.unpack(server.image, str(place / "box"))

    assert {path.name for path in (place / "box").iterdir()} == {"rootfs", "config.json", "pyrunc.image.json"}
