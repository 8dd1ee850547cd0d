"""Plans as bytes: encodes the `init` list for the launcher, version 1 (docs/architecture.md, "Wire format").

Pure; the C side (native/launcher) decodes and checks every length again. Must not know what an operation means.
"""

from __future__ import annotations

from _struct import pack

from pyrunc.sandbox.operations import OPERATIONS, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.plan import Operation

VERSION = 1
MASK = 0xFFFF_FFFF_FFFF_FFFF
_kinds: dict[str, str] = {}


def kinds(name: str) -> str:
    """Kinds of an operation's values, a letter each, in wire order."""
    found = _kinds.get(name)
    if found is None:
        found = _kinds[name] = "".join([kind for kind, _ in fields(name)])
    return found


def slot_names(host: list[Operation], init: list[Operation]) -> list[str]:
    """Every slot that is written, in order: the host's first, because they are filled before the launcher starts."""
    names: list[str] = []
    for operation in host + init:
        for kind, value in zip(kinds(operation.name), operation.values, strict=True):
            if kind == "o" and value and value not in names:
                names.append(value)  # type: ignore[arg-type]
    return names


def encode(operations: list[Operation], slots: list[str]) -> bytes:
    """The plan's bytes. `slots`: names in number order, as `slot_names` gives them.

    Raises ValueError for a text with a NUL in it: no document may bring one this far.
    """
    number = {name: index for index, name in enumerate(slots)}
    number[""] = MASK
    parts = [b""]
    for operation in operations:
        shape = kinds(operation.name)
        numbers: list[int] = []
        texts: list[bytes] = []
        for kind, value in zip(shape, operation.values, strict=True):
            if kind == "u":
                numbers.append(value & MASK)  # type: ignore[operator]
            elif kind in "io":
                numbers.append(number[value])  # type: ignore[index]
            else:
                texts.append(_text(kind, value))  # type: ignore[arg-type]
        code = OPERATIONS[operation.name][0]
        head = pack(
            f"<HBBBBH{len(numbers)}Q",
            code,
            operation.phase,
            len(numbers),
            len(texts),
            0,
            operation.tolerances,
            *numbers,
        )
        parts.append(head)
        parts += texts
    body = b"".join(parts)
    return pack("<8sIIIIQ", b"PYRUNCPL", VERSION, len(operations), len(slots), 32 + len(body), 0) + body


def _text(kind: str, value: str | bytes | list[str]) -> bytes:
    if kind == "b":
        data, count = value, 0
    elif kind == "s":
        data, count = _terminated(value), 1  # type: ignore[arg-type]
    else:
        data, count = b"".join([_terminated(text) for text in value]), len(value)  # type: ignore[arg-type]
    return pack("<II", len(data), count) + data + bytes(-len(data) % 8)  # type: ignore[operator]


def _terminated(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if 0 in data:
        raise ValueError(f"NUL inside {text!r}")
    return data + b"\0"
