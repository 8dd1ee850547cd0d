"""What is kept of failures, and what `pyrunc explain` makes of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyrunc.failed import KEPT, NAME, keep, notes, steps_of
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.store import Store

from .command import Pyrunc

DOCUMENT = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "process": {"args": ["prog"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["SECRET=xyzzy"]},
    "mounts": [{"destination": "/data", "type": "bind", "source": "/no/such/folder", "options": ["bind"]}],
    "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "rootfs/bin").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(DOCUMENT))
    return folder


def fail(store: Store, id: str = "box", message: str = "no", pointer: str = "") -> None:
    keep(store.root, "run", id, "/nowhere", PyruncError(message, pointer))


def test_bounded(store: Store) -> None:
    """Only so many are kept, the newest; the file is nobody else's to read."""
    os.mkdir(store.root)
    for number in range(KEPT + 5):
        fail(store, message=f"number {number} " + "x" * 10_000)

    kept = notes(store.root)
    assert [note["message"].split()[1] for note in kept] == [str(number) for number in range(5, KEPT + 5)]
    place = Path(store.root) / NAME
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.stat().st_size < KEPT * 20_000


def test_no_container(store: Store) -> None:
    """The file is no container, and no root folder is made for it."""
    fail(store)
    assert not Path(store.root).exists()

    os.mkdir(store.root)
    fail(store)
    assert store.ids() == []
    assert os.listdir(store.root) == [NAME]


def test_damaged(store: Store) -> None:
    """A file that cannot be read keeps nobody from failing as he should, and is begun anew."""
    os.mkdir(store.root)
    (Path(store.root) / NAME).write_text("{broken")

    fail(store, message="new")

    assert [note["message"] for note in notes(store.root)] == ["new"]


def test_value(store: Store, bundle: Path) -> None:
    """The part of the document is kept with the failure; the environment never is."""
    os.mkdir(store.root)
    for pointer in ("mounts[0].source", "process", "process.env[0]", "mounts[7]"):
        keep(store.root, "run", "box", str(bundle), Failure("do it", pointer, 2))

    values = [note["value"] for note in notes(store.root)]
    assert values[0] == '"/no/such/folder"'
    assert "prog" in values[1]
    assert values[2:] == ["", ""]
    assert "xyzzy" not in (Path(store.root) / NAME).read_text()


def test_environment_of_hooks(store: Store, bundle: Path) -> None:
    """The environment of a hook is as secret as that of the process, wherever the pointer leads."""
    hook = {"path": "/no/such/hook", "env": ["TOKEN=xyzzy"]}
    (bundle / "config.json").write_text(json.dumps({**DOCUMENT, "hooks": {"prestart": [hook]}}))
    os.mkdir(store.root)

    for pointer in ("hooks.prestart[0]", "hooks.prestart", "hooks"):
        keep(store.root, "run", "box", str(bundle), Failure("run it", pointer, 2))

    assert all("/no/such/hook" in note["value"] for note in notes(store.root))
    assert "xyzzy" not in (Path(store.root) / NAME).read_text()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["fifo", "endless", "folder", "deep"])
def test_exchanged_document(store: Store, bundle: Path, kind: str) -> None:
    """The owner of a bundle who exchanges its document after the failure neither stops nor fills the command."""
    place = bundle / "config.json"
    place.unlink()
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "endless":
        place.symlink_to("/dev/zero")
    elif kind == "folder":
        place.mkdir()
    else:
        place.write_text('{"mounts":' + "[" * 100_000)
    os.mkdir(store.root)

    keep(store.root, "run", "box", str(bundle), Failure("do it", "mounts[0]", 2))

    assert [note["value"] for note in notes(store.root)] == [""]


@pytest.mark.timeout(10)
def test_link_in_the_root_folder(store: Store, tmp_path: Path) -> None:
    """What stands in the file's place is neither followed nor waited for; the next note takes the place."""
    os.mkdir(store.root)
    other = tmp_path / "other"
    other.write_text('{"message": "of somebody else"}\n')
    place = Path(store.root) / NAME
    for make in (lambda: place.symlink_to(other), lambda: os.mkfifo(place)):
        make()
        Path(store.root, NAME + "~").symlink_to(other)
        assert notes(store.root) == []
        fail(store)
        Path(store.root, NAME + "~").unlink()
        fail(store)
        assert [note["message"] for note in notes(store.root)] == ["no"]
        assert other.read_text() == '{"message": "of somebody else"}\n'
        place.unlink()


@pytest.mark.parametrize(
    ("pointer", "steps"),
    [
        ("mounts[1].options[0]", ["mounts", 1, "options", 0]),
        ('annotations["a.b[0]"]', ["annotations", "a.b[0]"]),
        ("linux.resources.unified", ["linux", "resources", "unified"]),
        ("", []),
    ],
)
def test_pointer(pointer: str, steps: list[str | int]) -> None:
    """A pointer is taken apart as it was put together."""
    assert steps_of(pointer) == steps


def test_explain(pyrunc: Pyrunc, store: Store, bundle: Path) -> None:
    """The failure of one container, or the last of any."""
    os.mkdir(store.root)
    keep(store.root, "create", "one", str(bundle), Failure("mount it", "mounts[0]", 1, hint="try harder"))
    keep(store.root, "run", "other", str(bundle), PyruncError("unlucky"))

    shown = pyrunc("explain", "one").out
    assert shown.startswith("create of one failed, ")
    assert "cannot mount it (mounts[0]): EPERM: operation not permitted" in shown
    assert "mounts[0] [config.md#mounts]:" in shown
    assert '"/no/such/folder"' in shown
    assert "file systems: " in shown
    assert "hint: try harder" in shown
    assert "unlucky" in pyrunc("explain").out
    assert pyrunc("explain", "--last").out == pyrunc("explain").out
    assert json.loads(pyrunc("explain", "--json", "one").out)["hint"] == "try harder"


def test_explain_nothing(pyrunc: Pyrunc) -> None:
    """Without a failure there is nothing to explain."""
    assert pyrunc("explain", "box").says(f"no failure of box is known below {pyrunc.root}")


def test_bundle(pyrunc: Pyrunc, bundle: Path) -> None:
    """Everything that can be told of a bundle beforehand, at once, and nothing is changed."""
    before = sorted(path for path in bundle.rglob("*"))
    done = pyrunc("explain", "--bundle", str(bundle))

    assert done.code == 1
    assert "cannot bind /no/such/folder (mounts[0]): ENOENT: no such file or directory" in done.out
    assert "there is no program prog in " in done.out
    assert sorted(path for path in bundle.rglob("*")) == before
    assert not pyrunc.root.exists()


def test_bundle_in_order(pyrunc: Pyrunc, bundle: Path) -> None:
    """A bundle that would run has no problems; its program may be reached by links that are absolute."""
    (bundle / "config.json").write_text(json.dumps({**DOCUMENT, "mounts": []}))
    (bundle / "rootfs/opt").mkdir()
    (bundle / "rootfs/opt/prog").write_text("#!/bin/sh\n")
    (bundle / "rootfs/opt/prog").chmod(0o755)
    (bundle / "rootfs/bin/prog").symlink_to("/opt/prog")

    done = pyrunc("explain", "--bundle", str(bundle))

    assert (done.code, done.out) == (0, "nothing was found that would keep it from starting\n")
    (bundle / "rootfs/opt/prog").chmod(0o644)
    assert "no file that can be executed" in pyrunc("explain", "--bundle", str(bundle)).out


def test_bundle_that_breaks_rules(pyrunc: Pyrunc, bundle: Path) -> None:
    """A document that breaks the specification is told so, with every place."""
    document = {**DOCUMENT, "process": {**DOCUMENT["process"], "cwd": "relative"}, "hostname": 5}  # type: ignore[dict-item]
    (bundle / "config.json").write_text(json.dumps(document))

    problems = json.loads(pyrunc("explain", "--json", "--bundle", str(bundle)).out)

    assert "hostname" in {problem["pointer"] for problem in problems}
