"""Attacks of images: the ground they are tried on, and the same attack against a source whose guard has been taken out.

A file of these tests has `attack(work)`, which returns "" when it achieved nothing and otherwise says what it got, and
`GUARD`: (file, text, what stands there instead). The copy of the source lives as long as the test; the product has no
switch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pyrunc.image import unpack
from pyrunc.image.apply import Applier
from pyrunc.image.tarread import Reader
from pyrunc.specs.errors import PyruncError
from tests.pyrunc.image.images import Layout, config_of

TREE = Path(__file__).resolve().parents[2]
PARTS = ("pyrunc", "sandbox", "specs")
TRY = """
import importlib, pathlib, pyrunc, sys
assert pyrunc.__file__.startswith(sys.argv[2]), pyrunc.__file__
work = pathlib.Path(sys.argv[2], "work")
work.mkdir()
print("GOT:" + importlib.import_module(sys.argv[1]).attack(work))
"""
Guard = tuple[tuple[str, str, str], ...]


def without(guard: Guard, module: str, place: Path) -> str:
    """What the attack of MODULE achieves against a copy of the source in PLACE that lacks the guard."""
    for part in PARTS:
        shutil.copytree(
            TREE / part, place / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"),
            copy_function=lambda source, target: os.symlink(source, target),
        )  # fmt: skip
    for name, old, new in guard:
        file = place / name
        text = file.read_text()
        assert text.count(old) == 1, f"the guard is not where it was in {name}: {old!r}"
        file.unlink()
        file.write_text(text.replace(old, new))
    environment = {**os.environ, "PYTHONPATH": f"{place}:{TREE}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRY, module, str(place)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rpartition("GOT:")[2].strip()


class Ground:
    """An empty root file system, and beside it a secret that no layer may reach."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.root, self.outside = work / "rootfs", work / "outside"
        self.secret = self.outside / "secret"
        self.root.mkdir(mode=0o755)
        self.outside.mkdir(mode=0o755)
        self.secret.write_text("untouched")
        self.before = self.look()

    def look(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for path in [self.work, *sorted(self.outside.rglob("*")), self.outside]:
            info = path.lstat()
            name = str(path.relative_to(self.work))
            found[f"mode of {name}"] = oct(info.st_mode)
            found[f"owner of {name}"] = (info.st_uid, info.st_gid)
            if path != self.work:
                found[f"time of {name}"] = info.st_mtime_ns
            if path.is_file():
                found[f"content of {name}"] = path.read_text()
                found[f"names of {name}"] = info.st_nlink
        return found

    def apply(self, *layers: bytes) -> str:
        """Puts layers on the root; "" or the sentence in which one was refused."""
        root = os.open(self.root, os.O_PATH | os.O_DIRECTORY)
        try:
            for layer in layers:
                applier = Applier(root, False, lambda message: None)
                applier.layer(Reader(iter([layer])))
                applier.finish()
        except PyruncError as error:
            return str(error)
        finally:
            os.close(root)
        return ""

    def harm(self) -> str:
        """What has changed outside the root; "" for nothing."""
        now = self.look()
        changed = [
            f"{key} is {now.get(key)}" for key in sorted({*now, *self.before}) if now.get(key) != self.before.get(key)
        ]
        return "; ".join(changed)


def unpacked(work: Path, *layers: bytes, **execution: Any) -> tuple[Path, str]:
    """The bundle of an image with these layers, and "" or the sentence in which it was refused."""
    layout = Layout(work / "layout")
    layout.image(*layers, config=config_of(*layers, config=execution))
    return from_layout(work, layout)


def from_layout(work: Path, layout: Layout) -> tuple[Path, str]:
    bundle = work / "bundle"
    try:
        unpack(f"oci:{layout.write()}", str(bundle), platform="linux/amd64")
    except PyruncError as error:
        return bundle, str(error)
    return bundle, ""


def document(bundle: Path) -> dict[str, Any]:
    """The bundle's config.json."""
    found: dict[str, Any] = json.loads((bundle / "config.json").read_text())
    return found
