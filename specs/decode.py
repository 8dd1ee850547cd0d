"""Bytes to JSON values, and JSON values to typed ones that know their place in the document.

Strict wherever two readers could see two different documents in the same bytes: UTF-8, one value only, no member named
twice, no NaN, no lone surrogates, whole numbers written as such. Used on every start of a container, so it must never
import `json` unless C's scanner is missing (`json` loads `re`: 7 ms). It must not know any particular document.
"""

from __future__ import annotations

from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

MAX_BYTES = 16 << 20
MAX_DEPTH = 128
WHITESPACE = " \t\n\r"

# Ranges of whole numbers, by the names that the specifications use.
INT32 = (-(1 << 31), (1 << 31) - 1)
INT64 = (-(1 << 63), (1 << 63) - 1)
UINT16 = (0, (1 << 16) - 1)
UINT32 = (0, (1 << 32) - 1)
UINT64 = (0, (1 << 64) - 1)
# A user or group: the kernel takes the highest uint32 for "leave it as it is".
ID = (0, (1 << 32) - 2)


def one_of_each_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members, refusing a name that is there twice: readers differ in which one they take."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("this member name occurs twice in one object")
    return members


def no_constant(name: str) -> None:
    raise Invalid(f"{name} is not a JSON number")


class Scanning:
    """What C's scanner asks of its context; the names are those of `json.JSONDecoder`."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(one_of_each_name)
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(no_constant)


def scanner() -> Callable[[str, int], tuple[Any, int]]:
    """C's scanner straight from its private module, or the public one where that is missing or has changed."""
    try:
        from _json import make_scanner

        scan: Callable[[str, int], tuple[Any, int]] = make_scanner(Scanning)  # type: ignore[arg-type]  # any will do
        if scan('{"a":[1]}', 0) == ({"a": [1]}, 9):
            return scan
    except (ImportError, AttributeError, TypeError):
        pass
    from json import JSONDecoder

    return JSONDecoder(object_pairs_hook=one_of_each_name, parse_constant=no_constant).raw_decode


scan = scanner()


def decode(data: bytes) -> Any:
    """The JSON value in `data`; anything that is not exactly one well-formed value is `Invalid`."""
    if len(data) > MAX_BYTES:
        raise Invalid(f"the document has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"byte {error.start} of the document is not UTF-8") from None
    start = len(text) - len(text.lstrip(WHITESPACE))
    try:
        try:
            value, end = scan(text, start)
        except SystemError:  # C's scanner has an error to tell and finds nobody who defines it
            import json.decoder  # noqa: F401

            value, end = scan(text, start)
    except StopIteration as error:
        raise syntax(text, int(error.value), "expected a value") from None
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:  # JSONDecodeError, or an integer of thousands of digits
        if not hasattr(error, "pos"):
            digits = max("".join([letter if letter.isdigit() else " " for letter in text]).split(), key=len)
            raise syntax(text, text.index(digits), "a number of thousands of digits") from None
        raise syntax(text, error.pos, str(getattr(error, "msg", error)).removesuffix(" at")) from None
    except Invalid as error:
        from pyrunc.specs.locate import place_of_repeat

        error.pointer = place_of_repeat(text, start)
        raise
    rest = text[end:].lstrip(WHITESPACE)
    if rest:
        raise syntax(text, len(text) - len(rest), "expected the end of the document")
    # Only many brackets can nest deeply, only such escapes can hold half a character: other documents skip the walk.
    if text.count("[") + text.count("{") > MAX_DEPTH or "\\ud" in text or "\\uD" in text:
        walk(value)
    return value


def syntax(text: str, position: int, message: str) -> Invalid:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return Invalid(f"not JSON: {message} at line {line}, column {column}")


def too_deep() -> Invalid:
    return Invalid(f"the document is nested more than {MAX_DEPTH} levels deep")


def walk(value: object) -> None:
    """Depth of all and every string's encoding, level by level (a recursion could itself be too deep)."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        for item in level:
            if type(item) is dict:
                below += item.values()
                below += item
            elif type(item) is list:
                below += item
            elif type(item) is str and not item.isascii():
                try:
                    item.encode()
                except UnicodeEncodeError:
                    raise Invalid("a string has half of a surrogate pair, which UTF-8 cannot express") from None
        if not below:
            return
        level = below
    raise too_deep()


NAMES = {bool: "a boolean", int: "a number", str: "a string", list: "an array", dict: "an object"}


def kind_of(value: object) -> str:
    return str(value) if type(value) is float else NAMES.get(type(value), "null")


def expected(what: str, value: object, pointer: str) -> Invalid:
    return Invalid(f"expected {what}, found {kind_of(value)}", pointer)


class Node:
    """One JSON object and its place; each method reads one member of it.

    `null` counts as absent, members that nobody reads are ignored. Texts may not hold a NUL, for they end up in system
    calls; maps of texts may, for annotations are only handed on.
    """

    __slots__ = ("members", "pointer")

    def __init__(self, members: object, pointer: str = "") -> None:
        if type(members) is not dict:
            raise expected("an object", members, pointer)
        self.members: dict[str, Any] = members
        self.pointer = pointer

    def at(self, name: str) -> str:
        return f"{self.pointer}.{name}" if self.pointer else name

    def need(self, name: str) -> Any:
        value = self.members.get(name)
        if value is None:
            raise Invalid("this property is required", self.at(name))
        return value

    def text(self, name: str, default: str = "") -> str:
        value = self.members.get(name)
        if value is None:
            return default
        return a_text(value, self, name)

    def required_text(self, name: str) -> str:
        return a_text(self.need(name), self, name)

    def flag(self, name: str) -> bool:
        return self.optional_flag(name) or False

    def optional_flag(self, name: str) -> bool | None:
        value = self.members.get(name)
        if value is None or value is True or value is False:
            return value
        raise expected("a boolean", value, self.at(name))

    def required_flag(self, name: str) -> bool:
        self.need(name)
        return self.flag(name)

    def integer(self, name: str, limits: tuple[int, int]) -> int | None:
        value = self.members.get(name)
        if value is None:
            return None
        return an_integer(value, limits, self, name)

    def required_integer(self, name: str, limits: tuple[int, int]) -> int:
        return an_integer(self.need(name), limits, self, name)

    def array(self, name: str) -> list[Any]:
        value = self.members.get(name)
        if value is None:
            return []
        if type(value) is not list:
            raise expected("an array", value, self.at(name))
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        values = self.array(name)
        for index, value in enumerate(values):
            if type(value) is not str or "\0" in value:
                a_text(value, self, f"{name}[{index}]")
        return tuple(values)

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        return None if self.members.get(name) is None else self.texts(name)

    def integers(self, name: str, limits: tuple[int, int]) -> tuple[int, ...]:
        return tuple(an_integer(v, limits, self, f"{name}[{i}]") for i, v in enumerate(self.array(name)))

    def map(self, name: str) -> dict[str, Any]:
        value = self.members.get(name)
        if value is None:
            return {}
        if type(value) is not dict:
            raise expected("an object", value, self.at(name))
        return value

    def text_map(self, name: str) -> dict[str, str]:
        values = self.map(name)
        for key, value in values.items():
            if type(value) is not str:
                raise expected("a string", value, key_pointer(self.at(name), key))
        return values

    def child(self, name: str, kind: Callable[[Node], T]) -> T | None:
        value = self.members.get(name)
        return None if value is None else kind(Node(value, self.at(name)))

    def children(self, name: str, kind: Callable[[Node], T]) -> tuple[T, ...]:
        pointer = self.at(name)
        return tuple([kind(Node(value, f"{pointer}[{index}]")) for index, value in enumerate(self.array(name))])

    def child_map(self, name: str, kind: Callable[[Node], T]) -> dict[str, T]:
        pointer = self.at(name)
        return {key: kind(Node(value, key_pointer(pointer, key))) for key, value in self.map(name).items()}


def late(module: str, kind: str) -> Callable[[Node], Any]:
    """A class of a module of this package; the module is loaded when the first object of its kind turns up."""

    def build(node: Node) -> Any:
        return getattr(__import__(f"pyrunc.specs.{module}", fromlist=(kind,)), kind)(node)

    return build


def a_text(value: object, node: Node, name: str) -> str:
    if type(value) is not str:
        raise expected("a string", value, node.at(name))
    if "\0" in value:
        raise Invalid("a NUL character is not allowed here", node.at(name))
    return value


def an_integer(value: object, limits: tuple[int, int], node: Node, name: str) -> int:
    if type(value) is not int:  # neither true, nor 1.0, nor 1e3
        raise expected("an integer", value, node.at(name))
    if not limits[0] <= value <= limits[1]:
        raise Invalid(f"expected an integer from {limits[0]} to {limits[1]}, found {value}", node.at(name))
    return value


def key_pointer(pointer: str, key: str) -> str:
    """The place of a map's entry; keys such as `net.ipv4.ip_forward` need their quotes."""
    return f'{pointer}["{key}"]'
