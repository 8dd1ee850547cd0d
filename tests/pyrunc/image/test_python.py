"""The image tool from Python: what the command line does, by functions, and by no others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyrunc import images
from pyrunc.cli.images import NAMES
from tests.pyrunc.image.images import LOWER, UPPER, Layout
from tests.pyrunc.image.images import tree as names

# What the functions are called whose commands have shorter names, or words that Python keeps for itself.
CALLED = {"gc": "collect", "import": "import_", "ls": "listing", "rm": "remove"}


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box")
    return f"oci:{made.write()}:box"


def test_an_image_is_made_and_changed(tmp_path: Path, root: None) -> None:
    """From nothing to a bundle and back, with a history of what has been done."""
    store = str(tmp_path / "store")
    (tmp_path / "file").write_text("hello")
    images.new("box", store=store)
    images.insert("box", str(tmp_path / "file"), "/etc/file", store=store)
    images.insert("box", str(tmp_path / "file"), "/gone", store=store)
    images.white_out("box", "/gone", store=store)
    images.config("box", {"config.env": ["A=1"], "created": ["2020-01-01T00:00:00Z"]}, target="two", store=store)
    images.unpack("two", str(tmp_path / "bundle"), store=store)
    (tmp_path / "bundle/rootfs/new").write_text("x")

    assert names(tmp_path / "bundle") == {"etc", "etc/file", "new"}
    assert images.diff(str(tmp_path / "bundle"), store=store)[-1] == ("A", "/new")
    digest = images.repack(str(tmp_path / "bundle"), "three", said=images.Said(author="me"), store=store)
    steps = images.history("three", store=store)
    assert [step["created_by"] for step in steps] == ["pyrunc image insert"] * 3 + [
        "pyrunc image config",
        "pyrunc image repack",
    ]
    assert steps[-1]["author"] == "me" and "layer" not in steps[3]
    assert images.inspect("three", store=store)["digest"] == digest
    assert images.inspect("two", store=store)["config"]["created"] == "2020-01-01T00:00:00Z"


def test_a_root_file_system_becomes_an_image(tmp_path: Path, root: None) -> None:
    """An archive is imported, put under another name, and the first one removed with all that only it had."""
    store = str(tmp_path / "store")
    (tmp_path / "root.tar").write_bytes(LOWER)
    made = images.import_(str(tmp_path / "root.tar"), "one", store=store)
    images.tag("one", "two", store=store)
    images.remove("one", store=store)
    images.unpack("two", str(tmp_path / "bundle"), store=store)

    assert names(tmp_path / "bundle") == {"etc", "etc/passwd", "gone", "setuid"}
    assert [one["digest"] for one in images.listing(store=store)] == [made.digest]
    images.remove("two", store=store)
    assert images.collect(store=store)[0] == 3


@pytest.mark.root
def test_layers_are_shown(source: str, tmp_path: Path, root: None) -> None:
    """Shared layers are stacked for a container alone, or to be looked at."""
    bundle = tmp_path / "bundle"
    images.unpack(source, str(bundle), layers=True, store=str(tmp_path / "store"))
    assert names(bundle) == set()
    images.mount(str(bundle))
    try:
        assert "new" in names(bundle)
    finally:
        images.umount(str(bundle))
    assert names(bundle) == set()


def test_an_empty_layout(tmp_path: Path) -> None:
    """Nothing is in it, and the next time it stays as it is."""
    images.init(str(tmp_path / "layout"))
    images.new(f"oci:{tmp_path / 'layout'}:box")
    images.init(str(tmp_path / "layout"))

    assert images.inspect(f"oci:{tmp_path / 'layout'}")["layers"] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_command_is_a_function(tree: Path, name: str) -> None:
    """The command does its work by the function of its name and looks into nothing below."""
    text = (tree / "pyrunc/cli/images" / f"{name}.py").read_text()

    assert f"images.{CALLED.get(name, name)}(" in text and CALLED.get(name, name) in images.__all__
    body = text.partition("def run(")[2]
    assert re.findall(r"from pyrunc\.image\.\S+", body) == []


def test_importing_it_is_cheap(tree: Path) -> None:
    """Neither the network nor the parsers are loaded before they are needed."""
    program = "import sys; from pyrunc import images; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tree, capture_output=True, text=True, check=True)

    assert not {"urllib3", "json", "tarfile", "tarsafe", "subprocess", "tempfile"} & set(done.stdout.split())


def test_history_that_begins_late(source: str, tmp_path: Path) -> None:
    """What is added to an image without a history is the step of the layer on top, not of the lowest."""
    store = str(tmp_path / "store")
    (tmp_path / "file").write_text("x")
    images.insert(source, str(tmp_path / "file"), "/file", target="box", store=store)
    layers = [layer["digest"] for layer in images.inspect("box", store=store)["layers"]]
    steps = images.history("box", store=store)

    assert [step["layer"]["digest"] for step in steps] == layers
    assert [step.get("created_by") for step in steps] == [None, None, "pyrunc image insert"]
