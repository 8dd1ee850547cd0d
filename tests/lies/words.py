"""The words in which lies about bundles are told: a name, how the bundle differs from a good one, and the answer.

A lie is plain data. Its edits are tuples: a verb, the place (in config.json `process.args[0]`, in the bundle
`rootfs/etc`) and what goes there. `{bundle}` and `{id}` stand for those of the bundle at hand, in edits and in answers.
"""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Edit = tuple[Any, ...]
BOTH = ("run", "create")


@dataclass(frozen=True)
class Lie:
    """`says` is the whole message behind `pyrunc run failed: `, or a pattern of it. `valid` is what `validate` says of
    the document, because many lies are told by the bundle or the machine; None where it takes too long to say.
    `flags` come after the command, `options` before it."""

    name: str
    edits: tuple[Edit, ...]
    says: str | re.Pattern[str]
    valid: bool | None = False
    commands: tuple[str, ...] = BOTH
    flags: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def filled(value: Any, words: dict[str, str]) -> Any:
    """The value with its placeholders filled in; bytes are as they are."""
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace(f"{{{word}}}", text)
        return value
    if isinstance(value, list):
        return [filled(item, words) for item in value]
    if isinstance(value, dict):
        return {filled(key, words): filled(item, words) for key, item in value.items()}
    return value


def container_of(document: Any, place: str) -> tuple[Any, str | int]:
    """The object or array that holds a place, and the key in it; objects on the way are made."""
    steps = re.findall(r"([^.\[\]]+)|\[(\d+)\]", place)
    *above, last = [int(number) if number else name for name, number in steps]
    for step in above:
        document = document[step] if isinstance(step, int) else document.setdefault(step, {})
    return document, last


def edit_document(document: dict[str, Any], edit: Edit) -> bool:
    """Carries out an edit of config.json; False when it is none."""
    verb, place, *rest = edit
    if verb == "set":
        target, key = container_of(document, place)
        target[key] = rest[0]
    elif verb == "add":
        target, key = container_of(document, place)
        target.setdefault(key, []).append(rest[0])
    elif verb == "repeat":  # the same item N times, `{n}` in it being its number
        target, key = container_of(document, place)
        target[key] = [filled(rest[1], {"n": str(number)}) for number in range(rest[0])]
    elif verb == "drop":
        target, key = container_of(document, place)
        del target[key]
    else:
        return False
    return True


def edit_bundle(bundle: Path, edit: Edit) -> None:
    """Carries out an edit of the bundle's files."""
    verb, place, *rest = edit
    path = bundle / place
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        path.rename(bundle / "out-of-the-way") if os.listdir(path) else path.rmdir()
    if verb == "file":
        data, mode = rest[0], (rest[1] if len(rest) > 1 else 0o644)
        path.write_bytes(data)
        path.chmod(mode)
    elif verb == "link":
        path.symlink_to(rest[0])
    elif verb == "folder":
        path.mkdir()
    elif verb == "fifo":
        os.mkfifo(path)
    elif verb == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        assert verb == "remove", verb


def tell(lie: Lie, document: dict[str, Any], bundle: Path, words: dict[str, str]) -> None:
    """Makes the bundle what the lie says it is."""
    files = [edit for edit in lie.edits if not edit_document(document, filled_edit(edit, words))]
    (bundle / "config.json").write_text(json.dumps(document))
    for edit in files:
        edit_bundle(bundle, filled_edit(edit, words))


def filled_edit(edit: Edit, words: dict[str, str]) -> Edit:
    return tuple(filled(item, words) for item in edit)
