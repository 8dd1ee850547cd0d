"""Between any two places of files, and with skopeo and umoci in between."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tarfile
import termios
from pathlib import Path
from typing import Any

import pytest

from pyrunc import images
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.images import LOWER, NAMES, UPPER, Layout, tree

KINDS = ("oci", "oci-archive", "docker-archive", "dir")


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box:1")
    return f"oci:{made.write()}:box:1"


def place(kind: str, folder: Path) -> str:
    return f"{kind}:{folder / kind}" + ("" if kind == "dir" else ":box:1")


def run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_files(source: str, tmp_path: Path, kind: str) -> None:
    """There and back an image is the same: its configuration and blobs byte for byte."""
    first = images.copy(source, place(kind, tmp_path))
    last = images.copy(place(kind, tmp_path), f"oci:{tmp_path / 'last'}:box")

    before, after = images.inspect(source), images.inspect(f"oci:{tmp_path / 'last'}")
    assert [layer["digest"] for layer in after["layers"]] == [layer["digest"] for layer in before["layers"]]
    assert after["config"] == before["config"]
    if kind != "docker-archive":  # which has no manifest of its own
        assert last.digest == first.digest


@pytest.mark.parametrize("kind", KINDS)
def test_skopeo_reads_what_we_write(source: str, tmp_path: Path, kind: str) -> None:
    """skopeo finds the same configuration."""
    images.copy(source, place(kind, tmp_path))
    found = json.loads(run("skopeo", "inspect", "--config", place(kind, tmp_path)))

    assert found["rootfs"] == images.inspect(source)["config"]["rootfs"]


@pytest.mark.parametrize("kind", KINDS)
def test_we_read_what_skopeo_writes(source: str, tmp_path: Path, kind: str) -> None:
    """The same image comes out of what skopeo has made."""
    run("skopeo", "--insecure-policy", "copy", source, place(kind, tmp_path))
    images.copy(place(kind, tmp_path), f"oci:{tmp_path / 'last'}:box")

    assert images.inspect(f"oci:{tmp_path / 'last'}")["config"]["rootfs"] == images.inspect(source)["config"]["rootfs"]


def test_umoci_reads_the_store(source: str, tmp_path: Path, root: None) -> None:
    """The store is a layout as it is."""
    images.pull(source, store=str(tmp_path / "store"))
    images.tag("box:1", "plain", store=str(tmp_path / "store"))
    run("umoci", "unpack", "--image", f"{tmp_path / 'store'}:docker.io/library/box:1", str(tmp_path / "bundle"))

    assert tree(tmp_path / "bundle") == NAMES


def test_platforms(tmp_path: Path) -> None:
    """One of an index by platform, or all of it, then byte for byte."""
    made = Layout(tmp_path / "source")
    entries = [
        made.image(LOWER, UPPER[: 512 * n], listed=False, platform={"os": "linux", "architecture": arch})
        for n, arch in enumerate(("amd64", "arm64"))
    ]
    index = made.index(*entries)
    made.manifests.append({**index, "annotations": {"org.opencontainers.image.ref.name": "box"}})
    source = f"oci:{made.write()}:box"

    assert images.copy(source, f"oci:{tmp_path / 'one'}:box", platform="arm64").digest == entries[1]["digest"]
    assert images.copy(source, f"oci:{tmp_path / 'all'}:box", all=True).digest == index["digest"]
    assert images.inspect(f"oci:{tmp_path / 'all'}", platform="linux/amd64")["manifest"] == entries[0]["digest"]
    with pytest.raises(PyruncError, match="s390x"):
        images.copy(source, f"oci:{tmp_path / 'none'}:box", platform="s390x")


def test_a_damaged_source_leaves_no_archive(source: str, tmp_path: Path) -> None:
    """A blob with a wrong byte is an error, and there is nothing where the image was to be."""
    digest = images.inspect(source)["layers"][0]["digest"]
    path = tmp_path / "source/blobs/sha256" / digest[7:]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for kind in ("oci-archive", "docker-archive"):
        with pytest.raises(PyruncError, match="is not what its digest says"):
            images.copy(source, place(kind, tmp_path))

    assert {item.name for item in tmp_path.iterdir()} == {"source"}


@pytest.mark.parametrize("name", ["a b", "-a", "a//b", "a:", "a..b", "\u00e9"])
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_names_that_layouts_may_not_have(source: str, tmp_path: Path, kind: str, name: str) -> None:
    """What other tools could not name is not written."""
    with pytest.raises(PyruncError, match="does not name an image"):
        images.copy(source, f"{kind}:{tmp_path / 'out'}:{name}")

    assert not (tmp_path / "out").exists()


def test_names_in_archives_of_docker(source: str, tmp_path: Path) -> None:
    """In the list by which Docker loads, and in the layout that podman and containerd read instead."""
    images.copy(source, f"docker-archive:{tmp_path / 'd.tar'}:box")
    with tarfile.open(tmp_path / "d.tar") as tar:
        listed, index = (json.load(tar.extractfile(name) or tar) for name in ("manifest.json", "index.json"))

    assert listed[0]["RepoTags"] == ["box:latest"]
    assert index["manifests"][0]["annotations"] == {
        "io.containerd.image.name": "docker.io/library/box:latest", "org.opencontainers.image.ref.name": "latest",
    }  # fmt: skip


def test_an_archive_is_never_replaced(source: str, tmp_path: Path) -> None:
    """What is there stays."""
    (tmp_path / "oci-archive").write_text("mine")
    with pytest.raises(PyruncError, match="EEXIST"):
        images.copy(source, place("oci-archive", tmp_path))

    assert (tmp_path / "oci-archive").read_text() == "mine"


def test_what_is_told_on_the_way(source: str, tmp_path: Path) -> None:
    """Each blob begins, comes piece by piece and is copied; what is there already is said to be."""
    told: dict[str, list[tuple[str, int]]] = {}
    sizes: dict[str, int] = {}

    def report(state: str, descriptor: Any, count: int) -> None:
        told.setdefault(descriptor.digest, []).append((state, count))
        sizes[descriptor.digest] = descriptor.size

    images.copy(source, f"oci:{tmp_path / 'target'}:box", report=report)
    layer = images.inspect(source)["layers"][0]["digest"]
    first = told.pop(layer)
    images.copy(source, f"oci:{tmp_path / 'target'}:again", report=report)

    assert [first[0], first[-1]] == [("begins", 0), ("copied", 0)]
    assert {state for state, _ in first[1:-1]} == {"copying"} and sum(count for _, count in first) == sizes[layer]
    assert told[layer] == [("there", 0)]


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    """Bars with sizes in units while a large blob comes, then a line for it; none for --quiet and --json."""
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, blobs=[made.blob(os.urandom(5_000_000), "application/x"), made.blob(UPPER, "text/x")])
    source = f"oci:{made.write()}"
    shown = {}
    for flags in ("", "--quiet", "--json"):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(ours, (24, 100))
        command = [sys.executable, "-c", "from pyrunc.cli import main; main()", "image", "copy", *flags.split()]
        done = subprocess.run([*command, source, f"oci:{tmp_path / 'out'}{flags}:box"], stdout=-1, stderr=theirs)
        os.close(theirs)
        data = b""
        while piece := read_terminal(ours):
            data += piece
        os.close(ours)
        assert done.returncode == 0 and b"sha256:" in done.stdout
        shown[flags] = data.decode()

    assert "5.0 MB  copied" in shown[""] and "%|" in shown[""] and "5.00M" in shown[""]
    assert shown["--quiet"] == shown["--json"] == ""


def read_terminal(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # EIO: nobody is on the other side
        return b""
