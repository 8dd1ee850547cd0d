"""Images made and changed without unpacking them: new, import, insert, config; and history and diff, which look."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyrunc.image import unpack
from tests.pyrunc.command import PACKAGES, PROGRAM, Done, Pyrunc
from tests.pyrunc.image.images import Layout
from tests.pyrunc.image.tars import archive, file, folder
from tests.pyrunc.image.test_repack import BASE, base, box, change, document, named, umoci
from tests.pyrunc.image.test_same_as_others import differences, need, run

__all__ = ["base", "box"]


def good(done: Done) -> str:
    assert (done.code, done.err) == (0, ""), done
    return done.out


def tree(image: str, place: Path) -> Path:
    unpack(image, str(place))
    return place / "rootfs"


# -- new and import ---------------------------------------------------------------------------------------------------


def test_new(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """An image of no layers, in a layout that is made for it, which umoci goes on with."""
    need("umoci")
    image = f"oci:{tmp_path}/made:one"
    good(pyrunc("image", "new", "--platform", "linux/arm64/v8", image))
    (tmp_path / "file").write_text("x")
    run("umoci", "insert", "--image", umoci(image), tmp_path / "file", "/file")
    config = document(image)

    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm64", "v8")
    assert len(config["rootfs"]["diff_ids"]) == 1


def test_architecture(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """The machine's own architecture is written as the specification spells it, not as the kernel does."""
    good(pyrunc("image", "new", f"oci:{tmp_path}/made:one"))

    spelled = {"x86_64": "amd64", "aarch64": "arm64"}
    assert document(f"oci:{tmp_path}/made:one")["architecture"] == spelled.get(os.uname().machine, os.uname().machine)


@pytest.mark.parametrize(
    "words",
    [
        ["image", "new", "oci:made:\udcff"],
        ["image", "new", "oci:made:a\nb"],
        ["image", "config", "--author", "\udcff", "oci:made:one"],
        ["image", "config", "--config.label", "a=\udcff", "oci:made:one"],
        ["image", "config", "--history.comment", "\udcff", "--author", "a", "oci:made:one"],
    ],
)
def test_bytes_are_no_text(pyrunc: Pyrunc, tmp_path: Path, words: list[str]) -> None:
    """Arguments that are no text are refused by what they are, and the image stays as it was."""
    good(pyrunc("image", "new", "oci:made:one"))
    before = (tmp_path / "made/index.json").read_bytes()

    done = pyrunc(*words)

    assert done.code == 1 and re.search("is not UTF-8|is no name for an image", done.err), done
    assert (tmp_path / "made/index.json").read_bytes() == before


def test_init(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """An empty layout is one to umoci, and stays what it is the next time."""
    need("umoci")
    good(pyrunc("image", "init", "made"))
    run("umoci", "new", "--image", f"{tmp_path}/made:one")
    good(pyrunc("image", "init", "made"))

    assert document(f"oci:{tmp_path}/made:one")["rootfs"]["diff_ids"] == []


@pytest.mark.parametrize("kind", ["plain", "gzip", "folder", "standard input"])
def test_import(pyrunc: Pyrunc, tmp_path: Path, kind: str, root: None) -> None:
    """A root file system, however it comes, is the image's one layer."""
    data = gzip.compress(BASE) if kind == "gzip" else BASE
    (tmp_path / "a.tar").write_bytes(data)
    source = tmp_path / ("a.tar" if kind != "folder" else "folder")
    if kind == "folder":
        source.mkdir()
        run("tar", "--same-owner", "-C", source, "-xpf", tmp_path / "a.tar")
    image = f"oci:{tmp_path}/made:one"
    if kind == "standard input":
        with open(source, "rb") as stdin:
            command = [sys.executable, "-I", "-S", "-c", PROGRAM, PACKAGES, "image", "import", "-", image]
            subprocess.run(command, stdin=stdin, check=True, capture_output=True)
    else:
        good(pyrunc("image", "import", str(source), image))
    made = tree(image, tmp_path / "box")

    assert {path.name for path in made.iterdir()} == {"etc", "usr", "link", "data", "vol"}
    assert (made / "usr/tool").stat().st_mode & 0o7777 == 0o4755
    assert (made / "usr/tool").stat().st_ino == (made / "usr/other").stat().st_ino
    assert (made / "data/2").stat().st_uid == 7


@pytest.mark.parametrize("data", [b"", b"no archive at all" * 100, BASE[:700], gzip.compress(BASE)[:-9]])
def test_import_refused(pyrunc: Pyrunc, tmp_path: Path, data: bytes) -> None:
    """What could not be unpacked is not imported, and no image is left."""
    (tmp_path / "a.tar").write_bytes(data)
    done = pyrunc("image", "import", "a.tar", "oci:made:one")

    assert done.code == 1 and done.err.count("level=error") == 1, done
    assert not (tmp_path / "made/index.json").exists()


# -- insert -----------------------------------------------------------------------------------------------------------


def test_insert(pyrunc: Pyrunc, base: str, tmp_path: Path) -> None:
    """A file and a folder come with owners, modes, links and attributes."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep/file").write_text("hello")
    os.link(source / "deep/file", source / "other")
    os.chown(source / "deep", 5, 6)
    os.chmod(source / "other", 0o600)
    good(pyrunc("image", "insert", "--tag", named(base, "new"), base, str(source), "/opt/in"))
    good(pyrunc("image", "insert", named(base, "new"), str(source / "other"), "/etc/passwd"))
    made = tree(named(base, "new"), tmp_path / "box")

    assert (made / "opt/in/deep/file").read_text() == (made / "etc/passwd").read_text() == "hello"
    assert (made / "opt/in/other").samefile(made / "opt/in/deep/file")
    assert (made / "opt/in/deep").stat().st_gid == 6
    assert (made / "etc/passwd").stat().st_mode & 0o777 == 0o600
    assert [step["created_by"] for step in document(named(base, "new"))["history"]] == ["pyrunc image insert"] * 2


def test_insert_into_the_root(pyrunc: Pyrunc, base: str, tmp_path: Path) -> None:
    """A folder put at / adds what is in it and leaves the root's own mode."""
    (tmp_path / "source").mkdir(mode=0o700)
    (tmp_path / "source/new").write_text("x")
    good(pyrunc("image", "insert", base, "source", "/"))
    made = tree(base, tmp_path / "box")

    assert (made / "new").read_text() == "x" and (made / "etc/shadow").exists()
    assert made.stat().st_mode & 0o777 == 0o755


def test_insert_opaque(pyrunc: Pyrunc, base: str, tmp_path: Path) -> None:
    """An opaque folder is all there is in its place."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/new").write_text("x")
    good(pyrunc("image", "insert", "--opaque", base, "source", "data"))

    assert [path.name for path in (tree(base, tmp_path / "box") / "data").iterdir()] == ["new"]


def test_insert_whiteout(pyrunc: Pyrunc, base: str, tmp_path: Path) -> None:
    """What is whited out has gone, with all below it."""
    good(pyrunc("image", "insert", "--whiteout", base, "/data"))
    good(pyrunc("image", "insert", "--whiteout", base, "etc/passwd"))
    made = tree(base, tmp_path / "box")

    assert not (made / "data").exists() and not (made / "etc/passwd").exists()
    assert (made / "etc/shadow").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("IMAGE", "nowhere", "/x"), "cannot read"),
        (("IMAGE", "file", "/"), "in the place of the root"),
        (("--opaque", "IMAGE", "file", "/x"), "is no folder"),
        (("--whiteout", "IMAGE", "/"), "cannot be whited out"),
        (("--compress", "xz", "IMAGE", "file", "/x"), "is no compression"),
        (("IMAGE", "file", "/a/.wh.b"), "would be taken for a whiteout"),
        (("--whiteout", "IMAGE", "file", "/x"), "requires an image and a path"),
        (("IMAGE", "file"), "requires an image, a source"),
    ],
)
def test_insert_refused(pyrunc: Pyrunc, base: str, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    """One clear error, and the image stays what it was."""
    (tmp_path / "file").write_text("x")
    before = document(base, "manifest")
    done = pyrunc("image", "insert", *(base if item == "IMAGE" else item for item in arguments))

    assert done.code == 1 and message in done.err, done
    assert document(base, "manifest") == before


# -- config -----------------------------------------------------------------------------------------------------------

FLAGS = (
    "--config.user", "me:us", "--config.exposedports", "80/tcp", "--config.exposedports", "53/udp",
    "--config.env", "A=new", "--config.env", "B=c=d", "--config.entrypoint", "/bin/sh", "--config.entrypoint", "-c",
    "--config.cmd", "echo", "--config.volume", "/data", "--config.label", "k=v", "--config.workingdir", "/etc",
    "--config.stopsignal", "SIGINT", "--author", "Me", "--architecture", "riscv64", "--os", "linux",
    "--manifest.annotation", "org.x=y", "--created", "2020-02-02T02:02:02Z",
)  # fmt: skip


def test_config_as_umoci(pyrunc: Pyrunc, base: str) -> None:
    """The same flags make the same configuration as umoci's."""
    need("umoci")
    run("umoci", "config", "--image", umoci(base), "--tag", "theirs", "--no-history", *FLAGS)
    good(pyrunc("image", "config", "--tag", named(base, "ours"), "--no-history", *FLAGS, base))
    ours, theirs = document(named(base, "ours")), document(named(base, "theirs"))

    assert ours.pop("unknown") == {"kept": True}  # umoci drops what it does not know
    ours["config"]["Env"].sort(), theirs["config"]["Env"].sort()
    assert {key: value for key, value in theirs.items() if value} == ours
    annotations = [document(named(base, name), "manifest")["annotations"] for name in ("ours", "theirs")]
    assert annotations[0] == annotations[1] == {"org.x": "y"}


def test_clear(pyrunc: Pyrunc, base: str) -> None:
    """What is cleared has gone, what comes with it is there."""
    cleared = ("--clear", "config.env", "--clear", "config.volume", "--clear", "rootfs.diffids")
    good(pyrunc("image", "config", *cleared, "--config.env", "X=y", base))
    config = document(base)

    assert config["config"] == {"Env": ["X=y"]}
    assert config["rootfs"]["diff_ids"] == document(base, "manifest")["layers"] == []


def test_config_of_nothing(pyrunc: Pyrunc, base: str) -> None:
    """Without a change the image keeps its digest; with one the history says so."""
    before = document(base, "manifest")["digest"]
    assert good(pyrunc("image", "config", base)).strip() == before
    good(pyrunc("image", "config", "--author", "me", "--history.comment", "why", base))
    [step] = document(base)["history"]

    assert (step["created_by"], step["comment"], step["empty_layer"]) == ("pyrunc image config", "why", True)


@pytest.mark.parametrize("flags", [("--clear", "all"), ("--config.env", "A"), ("--config.label", "=b")])
def test_config_refused(pyrunc: Pyrunc, base: str, flags: tuple[str, str]) -> None:
    """One clear error, and the image stays what it was."""
    before = document(base, "manifest")
    done = pyrunc("image", "config", *flags, base)

    assert done.code == 1 and done.err.count("level=error") == 1, done
    assert document(base, "manifest") == before


def test_several_platforms(pyrunc: Pyrunc, layout: Layout) -> None:
    """An image of several platforms is not replaced by one of them."""
    entries = [
        layout.image(BASE, listed=False, platform={"os": "linux", "architecture": a}) for a in ("amd64", "arm64")
    ]
    layout.manifests.append(layout.index(*entries, annotations={"org.opencontainers.image.ref.name": "all"}))
    image = f"oci:{layout.write()}:all"

    assert "of several platforms" in pyrunc("image", "config", "--platform", "amd64", "--author", "me", image).err
    good(
        pyrunc("image", "config", "--platform", "amd64", "--author", "me", "--tag", named(image, "one"), image),
    )
    assert document(named(image, "one"))["author"] == "me"


# -- history and diff -------------------------------------------------------------------------------------------------


def test_history(pyrunc: Pyrunc, base: str) -> None:
    """Steps with the layers that they made; nothing that an image says reaches the terminal as it is."""
    good(pyrunc("image", "insert", "--whiteout", "--history.comment", "a\x1b[1mb", base, "/data"))
    layers = [layer["digest"] for layer in document(base, "manifest")["layers"]]
    steps = json.loads(good(pyrunc("image", "history", "--json", base)))

    assert [step["layer"]["digest"] for step in steps] == layers
    assert "a?[1mb" in good(pyrunc("image", "history", base))


def test_diff_of_a_bundle(pyrunc: Pyrunc, box: Path) -> None:
    """A bundle alone is compared with its image."""
    assert good(pyrunc("image", "diff", str(box))) == ""
    (box / "rootfs/etc/new").write_text("x")
    (box / "rootfs/data/1").unlink()
    (box / "rootfs/data/2").unlink()

    assert good(pyrunc("image", "diff", str(box))).splitlines() == [
        "M /data", "D /data/1", "D /data/2", "M /etc", "A /etc/new",
    ]  # fmt: skip


def test_diff_of_images(pyrunc: Pyrunc, box: Path, base: str, layout: Layout) -> None:
    """Two images are compared by what they unpack to, not by their layers."""
    upper = archive(folder(b"etc", mode=0o700), file(b"usr/more", b"x"), file(b".wh.link"))
    layout.image(BASE, upper, name="other")
    layout.image(BASE, archive(), name="same")
    layout.write()

    assert good(pyrunc("image", "diff", base, named(base, "same"))) == ""
    rows = json.loads(good(pyrunc("image", "diff", "--json", base, named(base, "other"))))
    assert [(row["kind"], row["path"]) for row in rows] == [("M", "/etc"), ("D", "/link"), ("A", "/usr/more")]


def test_applied_changes_are_none(pyrunc: Pyrunc, box: Path, base: str, tmp_path: Path) -> None:
    """After a repack there is no difference between the bundle and the new image."""
    change(box)
    good(pyrunc("image", "repack", str(box), named(base, "new")))

    assert good(pyrunc("image", "diff", named(base, "new"), str(box))) == ""
    assert differences(tree(named(base, "new"), tmp_path / "again"), box / "rootfs") == []
