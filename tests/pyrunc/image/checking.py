"""What is wrong with a store or a root file system, found out without any code of ours: for tests that kill, cut the
power or run many at once."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "org.opencontainers.image.ref.name"
LEFTOVER = ".new-"


def wrong_in(store: Path) -> list[str]:
    """What no reader of a layout may ever find: damaged files, blobs that are not what they are called, names that lead
    to something that is not there."""
    if not (store / "index.json").exists():
        return []
    wrong = [f"{path.name}: not its digest" for path in blobs(store) if hexdigest(path) != path.name]
    if json.loads((store / "oci-layout").read_bytes()) != {"imageLayoutVersion": "1.0.0"}:
        wrong.append("oci-layout")
    for entry in json.loads((store / "index.json").read_bytes())["manifests"]:
        wrong += [f"{entry['annotations'][NAME]}: {what}" for what in _wrong_below(store, entry)]
    return wrong


def _wrong_below(store: Path, descriptor: dict[str, Any]) -> Iterator[str]:
    path = store / "blobs" / descriptor["digest"].replace(":", "/")
    if not path.exists() or path.stat().st_size != descriptor["size"]:
        yield f"{descriptor['digest']} is missing or of another size"
    elif "json" in descriptor["mediaType"] and "config" not in descriptor["mediaType"]:
        document = json.loads(path.read_bytes())
        below = [*document.get("manifests", []), *document.get("layers", [])]
        for part in [*below, document["config"]] if "config" in document else below:
            yield from _wrong_below(store, part)


def blobs(store: Path) -> list[Path]:
    return [path for path in store.glob("blobs/*/*") if not path.name.startswith(LEFTOVER)]


def hexdigest(path: Path) -> str:
    return hashlib.new(path.parent.name, path.read_bytes()).hexdigest()


def names_in(store: Path) -> set[str]:
    index = store / "index.json"
    entries = json.loads(index.read_bytes())["manifests"] if index.exists() else []
    return {entry["annotations"][NAME] for entry in entries}


def stray_in(folder: Path) -> list[str]:
    """Names that only something unfinished has."""
    found = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    return [name for name in found if LEFTOVER in name or ".pyrunc-" in name]


def tree_of(root: Path) -> dict[str, tuple[Any, ...]]:
    """Every file with its mode, owner, time and contents."""
    found = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        data: bytes | str = path.read_bytes() if stat.S_ISREG(info.st_mode) else ""
        if path.is_symlink():
            data = os.readlink(path)
        found[str(path.relative_to(root))] = (info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, data)
    return found
