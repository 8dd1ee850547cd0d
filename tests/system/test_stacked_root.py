"""Containers whose root file system is a stack of layers: the first mount of the document, an overlay on /."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .box import Box
from .conftest import Bundle

pytestmark = pytest.mark.only("pyrunc")


def stack(box: Box, *options: str) -> Path:
    """The box's own files become a layer, below one that has /etc/word."""
    layer, top = box.folder / "layer,with:odd name", box.folder / "top"
    box.rootfs.rename(layer)
    for path in (box.rootfs, box.folder / "upper", box.folder / "work", top / "etc"):
        path.mkdir(parents=True)
    (top / "etc/word").write_text("from above\n")
    words = ["lowerdir+=top", f"lowerdir+={layer}", "upperdir=upper", "workdir=work", *options]
    mount = {"destination": "/", "type": "overlay", "source": "overlay", "options": words}
    box.config["mounts"].insert(0, mount)
    return layer


def test_stack(bundle: Bundle) -> None:
    """Layers show as one, changes land in upper, nothing of the host's paths is to be seen, no mount is left."""
    box = bundle("sh", "-c", "cat /etc/word /etc/passwd; echo changed >/etc/passwd; rm /etc/group; cat /proc/mounts")
    layer = stack(box, "index=off")

    result = box.run()

    assert result.ok, result
    assert result.out.startswith("from above\nroot:x:0:0:")
    assert str(box.folder) not in result.out
    assert (box.folder / "upper/etc/passwd").read_text() == "changed\n"
    assert (box.folder / "upper/etc/group").stat().st_rdev == 0
    assert (layer / "etc/passwd").read_text().startswith("root:")
    assert list(box.rootfs.iterdir()) == []
    assert str(box.folder) not in Path("/proc/self/mountinfo").read_text()


def test_read_only_stack(bundle: Bundle) -> None:
    """root.readonly, and what has to be made in it for mounts is made."""
    box = bundle("sh", "-c", "touch /x; touch /dev/shm/x && echo fine")
    stack(box)
    box.config["root"]["readonly"] = True

    result = box.run()

    assert "Read-only file system" in result.err
    assert result.out == "fine\n"


def test_exec_and_no_pivot(bundle: Bundle) -> None:
    """A process that comes later sees the same, however the root became one."""
    box = bundle("sleep", "1000")
    stack(box)
    assert box.create("--no-pivot").ok, box.errors.read_text()
    assert box.start().ok
    assert box.exec("cat", "/etc/word").out == "from above\n"
    assert box.delete("--force").ok


def test_one_container_at_a_time(bundle: Bundle) -> None:
    """Two stacks on one upper would lose each other's files; one that has ended, or failed, is in nobody's way."""
    box = bundle("sleep", "1000")
    stack(box)
    assert box.create().ok
    second = box.runtime("run", "--bundle", str(box.folder), f"{box.id}-second")
    assert (second.status, "(mounts[0]): another container is at work in it" in second.err) == (1, True), second
    assert not box.runtime("state", f"{box.id}-second").ok
    assert box.delete("--force").ok

    box.config["process"]["args"] = ["/no/such/program"]
    assert not box.run().ok
    box.config["process"]["args"] = ["cat", "/etc/word"]
    assert box.run().out == "from above\n"


def test_many_layers(bundle: Bundle) -> None:
    """More than the kernel takes in one text, though not than it stacks."""
    box = bundle("ls", "/many")
    stack(box)
    layers = []
    for number in range(120):
        (box.folder / f"layer-{number}/many/{number}").mkdir(parents=True)
        layers.append(f"lowerdir+={box.folder}/layer-{number}")
    box.config["mounts"][0]["options"][:0] = layers

    result = box.run()
    if "Linux 6.7" in result.err:
        pytest.skip("the kernel is older than Linux 6.7")
    assert len(result.lines) == 120


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("lowerdir+=/not/there", "ENOENT: no such file or directory: source /not/there"),
        ("noodle=1", "Unknown parameter 'noodle'"),
    ],
)
def test_what_cannot_be_stacked(bundle: Bundle, option: str, words: str) -> None:
    """One error that names it, and nothing is left."""
    box = bundle("true")
    stack(box, option)
    result = box.run()
    assert (result.status, words in result.err, "mounts[0]" in result.err) == (1, True, True), result
    assert not box.runtime("state", box.id).ok


def test_image_as_layer(bundle: Bundle, tmp_path: Path) -> None:
    """A layer that is a file is an EROFS image, which stays mounted nowhere but in the stack."""
    box = bundle("cat", "/etc/word", "/etc/inside")
    stack(box)
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/inside").write_text("an image\n")
    try:
        subprocess.run(["mkfs.erofs", "--quiet", box.folder / "image", tmp_path / "tree"], check=True)
    except FileNotFoundError:
        pytest.skip("mkfs.erofs is not installed (package erofs-utils)")
    box.config["mounts"][0]["options"].insert(0, "lowerdir+=image")

    result = box.run()
    if "ENODEV" in result.err or "ENOTBLK" in result.err:
        pytest.skip("the kernel has no EROFS, or none in files of this file system")
    assert result.out == "from above\nan image\n"
    assert "erofs" not in Path("/proc/self/mountinfo").read_text()


def test_in_a_user_namespace(bundle: Bundle) -> None:
    """With userxattr an emptied and refilled folder stays emptied, where the container's root reaches the layers."""
    box = bundle("sh", "-c", "rm -r /tmp; mkdir /tmp; rm /etc/word; ls /etc /tmp")
    layer = stack(box, "userxattr")
    (layer / "tmp/below").touch()
    box.user_namespace()
    for path in [box.folder, *box.folder.rglob("*")]:
        os.chown(path, 100000, 100000, follow_symlinks=False)

    result = box.run()

    assert result.ok, result
    assert result.out.split() == ["/etc:", "group", "passwd", "/tmp:"]
