"""D-Bus messages as bytes and back: what systemd is asked and what it answers. Pure; on the path of a start with
--systemd-cgroup.

Our own because of what loading costs: the smallest library for it takes 18 ms, all of this package one. Must not know
what a message is for. A variant is the pair (signature, value); structs are tuples, arrays are lists, `ay` is bytes.
"""

from __future__ import annotations

from _struct import calcsize, error, pack, unpack_from  # type: ignore[attr-defined]

from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = 1, 2, 3, 4, 5, 6, 7, 8
FIXED = {
    "y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d",
}  # fmt: skip
ALIGNMENT = {"s": 4, "o": 4, "g": 1, "a": 4, "(": 8, "{": 8, "v": 1} | {key: calcsize(FIXED[key]) for key in FIXED}
HEAD = "yyyyuua(yv)"
HEAD_SIZE = 16  # up to the length of the header's fields
LARGEST = 1 << 27  # the specification's limit of a message
DEEPEST = 32


class Malformed(PyruncError):
    """What came is no D-Bus message."""


class Message:
    """A message: its kind, the fields of its header by number, the values of its body."""

    __slots__ = ("body", "fields", "kind", "serial")

    def __init__(self, kind: int, serial: int, fields: dict[int, Any], body: list[Any]) -> None:
        self.kind = kind
        self.serial = serial
        self.fields = fields
        self.body = body


def split(signature: str) -> list[str]:
    """The single complete types of a signature: `sa(sv)u` is `s`, `a(sv)`, `u`."""
    found = []
    at = 0
    while at < len(signature):
        end = _end(signature, at)
        found.append(signature[at:end])
        at = end
    return found


def _end(signature: str, at: int) -> int:
    """Where the type that begins at `at` ends."""
    start = at
    while signature[at : at + 1] == "a":
        at += 1
    kind = signature[at : at + 1]
    if kind in ("(", "{"):
        depth = 0
        while at < len(signature):
            if signature[at] in ")}" and signature[at - 1] in "({":
                break  # an empty one takes no bytes: an array of them would have no end
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[at], 0)
            at += 1
            if depth == 0:
                return at
    elif kind and kind in ALIGNMENT and at - start <= DEEPEST:
        return at + 1
    raise Malformed(f"{signature!r} is no D-Bus signature")


# -- to bytes ---------------------------------------------------------------------------------------------------------


def call(
    serial: int, path: str, interface: str, member: str, signature: str = "", body: tuple[Any, ...] = (),
    destination: str = "",
) -> bytes:  # fmt: skip
    """A method call. Without a destination it is for whoever is at the other end."""
    fields = [(PATH, ("o", path)), (INTERFACE, ("s", interface)), (MEMBER, ("s", member))]
    if destination:
        fields.append((DESTINATION, ("s", destination)))
    if signature:
        fields.append((SIGNATURE, ("g", signature)))
    content = encode(signature, body)
    head = bytearray()
    _write(head, "(" + HEAD + ")", (ord("l"), CALL, 0, 1, len(content), serial, fields))
    _pad(head, 8)
    return bytes(head) + content


def encode(signature: str, values: tuple[Any, ...]) -> bytes:
    """Values one after the other, as the body of a message has them. Raises Malformed for a value that does not fit."""
    out = bytearray()
    try:
        for kind, value in zip(split(signature), values, strict=True):
            _write(out, kind, value)
    except (error, AttributeError, TypeError, ValueError) as failed:
        raise Malformed(f"{values!r} is not of the D-Bus type {signature!r}: {failed}") from None
    return bytes(out)


def _write(out: bytearray, kind: str, value: Any) -> None:
    letter = kind[0]
    _pad(out, ALIGNMENT[letter])
    if letter in FIXED:
        out += pack("<" + FIXED[letter], value)
    elif letter in "so":
        data = value.encode("utf-8", "surrogateescape")
        out += pack("<I", len(data)) + data + b"\0"
    elif letter == "g":
        out += pack("<B", len(value)) + value.encode("ascii") + b"\0"
    elif letter == "v":
        inner, content = value
        _write(out, "g", inner)
        _write(out, inner, content)
    elif letter == "a":
        _write_array(out, kind[1:], value)
    else:
        for inner, item in zip(split(kind[1:-1]), value, strict=True):
            _write(out, inner, item)


def _write_array(out: bytearray, kind: str, items: Any) -> None:
    at = len(out)
    out += b"\0\0\0\0"
    _pad(out, ALIGNMENT[kind[0]])  # not part of the length
    start = len(out)
    if kind == "y":
        out += bytes(items)
    else:
        for item in items:
            _write(out, kind, item)
    out[at : at + 4] = pack("<I", len(out) - start)


def _pad(out: bytearray, alignment: int) -> None:
    out += bytes(-len(out) % alignment)


# -- from bytes -------------------------------------------------------------------------------------------------------


def size(data: bytes | bytearray) -> int:
    """How long the message is that begins in `data`; 0 while that cannot be told yet."""
    if len(data) < HEAD_SIZE:
        return 0
    order = _order(data)
    body, _, fields = unpack_from(order + "III", data, 4)
    whole = HEAD_SIZE + fields + -fields % 8 + body
    if whole > LARGEST:
        raise Malformed(f"a D-Bus message of {whole} bytes")
    return int(whole)


def parse(data: bytes) -> Message:
    """One whole message."""
    try:
        order = _order(data)
        head, at = _read(data, 0, "(" + HEAD + ")", order, 0)
        fields = {code: value[1] for code, value in head[6]}
        body = []
        at += -at % 8
        content = data[at:]  # alignment counts from the start of the body
        at = 0
        for kind in split(fields.get(SIGNATURE, "")):
            value, at = _read(content, at, kind, order, 0)
            body.append(value)
        return Message(head[1], head[5], fields, body)
    except (error, IndexError, KeyError, ValueError, TypeError) as failed:
        raise Malformed(f"a damaged D-Bus message: {failed}") from None


def _order(data: bytes | bytearray) -> str:
    if data[0] not in b"lB":
        raise Malformed(f"a D-Bus message cannot begin with byte {data[0]}")
    return "<" if data[0] == ord("l") else ">"


def _read(data: bytes, at: int, kind: str, order: str, depth: int) -> tuple[Any, int]:
    """(value, where it ends)."""
    if depth > DEEPEST:
        raise Malformed("a D-Bus message nested too deeply")
    letter = kind[0]
    at += -at % ALIGNMENT[letter]
    if letter in FIXED:
        value = unpack_from(order + FIXED[letter], data, at)[0]
        return (bool(value) if letter == "b" else value), at + ALIGNMENT[letter]
    if letter in "sog":
        form, width = ("B", 1) if letter == "g" else ("I", 4)
        end = at + width + unpack_from(order + form, data, at)[0]
        if end >= len(data):
            raise IndexError("a text reaches beyond the end")
        if letter == "g":
            return data[at + width : end].decode("ascii"), end + 1
        return data[at + width : end].decode("utf-8", "surrogateescape"), end + 1
    if letter == "v":
        inner, at = _read(data, at, "g", order, depth)
        if len(split(inner)) != 1:
            raise Malformed(f"a variant of type {inner!r}")
        value, at = _read(data, at, inner, order, depth + 1)
        return (inner, value), at
    if letter == "a":
        return _read_array(data, at, kind[1:], order, depth + 1)
    values = []
    for inner in split(kind[1:-1]):
        value, at = _read(data, at, inner, order, depth + 1)
        values.append(value)
    return tuple(values), at


def _read_array(data: bytes, at: int, kind: str, order: str, depth: int) -> tuple[Any, int]:
    length = unpack_from(order + "I", data, at)[0]
    at += 4
    at += -at % ALIGNMENT[kind[0]]
    end = at + length
    if end > len(data):
        raise IndexError("an array reaches beyond the end")
    if kind == "y":
        return data[at:end], end
    items = []
    while at < end:
        item, at = _read(data, at, kind, order, depth)
        items.append(item)
    return items, at
