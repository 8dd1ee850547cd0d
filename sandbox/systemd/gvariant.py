"""Annotations `org.systemd.property.NAME` as properties of the container's unit. Pure; loaded only where there is one.

Values are GVariant text (`uint64 5`, `'on-failure'`, `[('a', 1)]`), which says its D-Bus type itself; a bare word
counts as a text, and a bare number has the type that such a property has, because engines write them so.
"""

from __future__ import annotations

from pyrunc.sandbox.systemd.message import Malformed, split
from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pyrunc.sandbox.systemd.properties import Property

    Typed = tuple[str, Any]

PREFIX = "org.systemd.property."
KEYWORDS = {
    "boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t",
    "double": "d", "string": "s", "objectpath": "o", "signature": "g",
}  # fmt: skip
RANGES = {
    "y": (0, 255), "n": (-(1 << 15), (1 << 15) - 1), "q": (0, (1 << 16) - 1), "i": (-(1 << 31), (1 << 31) - 1),
    "u": (0, (1 << 32) - 1), "x": (-(1 << 63), (1 << 63) - 1), "t": (0, (1 << 64) - 1),
}  # fmt: skip
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MICROSECONDS = 1_000_000
DEEPEST = 16
# Which processes are in the unit is not for the document to say: one of the host's would end with the container.
OURS = ("PIDs", "PIDFDs")


def annotated(annotations: Mapping[str, str]) -> list[Property]:
    """The properties that annotations ask for, in their order."""
    return [_property(key, value) for key, value in annotations.items() if key.startswith(PREFIX)]


def _property(key: str, text: str) -> Property:
    name = key[len(PREFIX) :]
    pointer = f'annotations["{key}"]'
    if len(name) < 3 or not (name.isascii() and name.isalpha()):
        why = "too short" if len(name) < 3 else "contains non-alphabetic character"
        raise Invalid(f"annotation {key} name incorrect: {why}", pointer)
    if name in OURS:
        raise Invalid(f"annotation {key}: the processes of the unit are the container's", pointer)
    try:
        signature, value = parse(text, "t" if name.endswith("USec") else "")
        # Documented as seconds, known to D-Bus as microseconds.
        if name.endswith("Sec") and name[:-3][-1:] in LETTERS and name != "Sec":
            if signature not in "bynqiuxtd" or signature == "b":
                raise ValueError("not a number")
            name, signature, value = f"{name[:-3]}USec", "t", int(value * MICROSECONDS)
            _check("t", value)
    except (ArithmeticError, ValueError, IndexError, Malformed) as error:
        raise Invalid(f"annotation {key}={text} value parse error: {error}", pointer) from None
    return name, signature, value


def parse(text: str, numbers: str = "") -> Typed:
    """(D-Bus type, value) of a GVariant text. `numbers`: the type of a number that does not say it, else as GVariant
    has it."""
    stripped = text.strip()
    if _is_word(stripped):
        return "s", stripped
    reader = _Reader(text, numbers)
    typed = reader.value("", 0)
    if reader.peek():
        raise ValueError(f"{text[reader.at :]!r} is left over")
    return typed


def _is_word(text: str) -> bool:
    """A text without its quotes."""
    return bool(text) and text not in ("true", "false") and text not in KEYWORDS and (
        text[0].isalpha() and all(char.isalnum() or char in "-_./:@" for char in text)
    )  # fmt: skip


class _Reader:
    """Reads from left to right."""

    def __init__(self, text: str, numbers: str) -> None:
        self.text = text
        self.numbers = numbers
        self.at = 0

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def take(self, wanted: str) -> bool:
        if self.peek() != wanted:
            return False
        self.at += 1
        return True

    def word(self) -> str:
        """Up to a space or anything that ends a value."""
        self.peek()
        start = self.at
        while self.text[self.at : self.at + 1] not in ("", " ", "\t", "\n", ",", ")", "]", "}", ":", ">", "(", "["):
            self.at += 1
        return self.text[start : self.at]

    def value(self, kind: str, depth: int) -> Typed:
        """The next value; `kind` is its type when that has been said, else ""."""
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        next = self.peek()
        if next in ("'", '"'):
            return _typed(kind or "s", self.quoted())
        if next == "[":
            return self.array(kind, depth)
        if next == "(":
            return self.tuple(kind, depth)
        if next == "<":
            self.at += 1
            inner = self.value("", depth + 1)
            self.expect(">")
            return "v", inner
        if next == "@":
            self.at += 1
            return self.value(self.signature(), depth + 1)
        if next == "b" and self.text[self.at + 1 : self.at + 2] in ("'", '"'):
            self.at += 1
            return "ay", self.quoted().encode("latin-1", "strict") + b"\0"
        word = self.word()
        if word in KEYWORDS:
            return self.value(KEYWORDS[word], depth + 1)
        if word in ("true", "false"):
            return _typed(kind or "b", word == "true")
        return self.number(word, kind)

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise ValueError(f"{wanted} expected at character {self.at + 1}")

    def signature(self) -> str:
        start = self.at
        while self.text[self.at : self.at + 1] not in ("", " "):
            self.at += 1
        found = self.text[start : self.at]
        if split(found) != [found]:
            raise ValueError(f"@{found} is not one type")
        return found

    def number(self, word: str, kind: str) -> Typed:
        if not word:
            raise ValueError("a value is missing" if not self.peek() else f"unexpected {self.peek()}")
        plain = word.lstrip("+-").lower()
        fraction = not plain.startswith("0x") and ("." in plain or "e" in plain or plain in ("inf", "nan"))
        if kind == "d" or fraction:
            return _typed(kind or "d", float(word))
        octal = len(plain) > 1 and plain.isdecimal() and plain[0] == "0"
        number = int(word, 8) if octal else int(word, 0)
        if not kind:
            fitting = [item for item in (self.numbers or "i", "x", "t") if _fits(item, number)]
            kind = fitting[0] if fitting else "i"
        return _typed(kind, number)

    def quoted(self) -> str:
        quote = self.text[self.at]
        out = []
        at = self.at + 1
        while self.text[at] != quote:
            char = self.text[at]
            at += 1
            if char == "\\":
                char = self.text[at]
                at += 1
                if char in "uU":
                    width = 4 if char == "u" else 8
                    out.append(chr(int(self.text[at : at + width], 16)))
                    at += width
                    continue
                char = ESCAPES.get(char, char)
            out.append(char)
        self.at = at + 1
        return "".join(out)

    def array(self, kind: str, depth: int) -> Typed:
        self.at += 1
        element = kind[1:] if kind.startswith("a") else ""
        items: list[Any] = []
        if not self.take("]"):
            while True:
                found, item = self.value(element, depth + 1)
                if element and found != element:
                    raise ValueError(f"an array has elements of one type, not {element} and {found}")
                element = found
                items.append(item)
                if not self.take(","):
                    break
            self.expect("]")
        if not element:
            raise ValueError("an empty array has no type: write @as []")
        return f"a{element}", bytes(items) if element == "y" else items

    def tuple(self, kind: str, depth: int) -> Typed:
        self.at += 1
        wanted = split(kind[1:-1]) if kind else []
        kinds: list[str] = []
        items: list[Any] = []
        while not self.take(")"):
            found, item = self.value(wanted[len(items)] if wanted else "", depth + 1)
            kinds.append(found)
            items.append(item)
            if not self.take(","):
                self.expect(")")
                break
        if not items:
            raise ValueError("D-Bus has no empty tuple")
        return f"({''.join(kinds)})", tuple(items)


def _typed(kind: str, value: Any) -> Typed:
    if isinstance(value, str) != (kind in ("s", "o", "g")):
        raise ValueError(f"{value!r} is not of type {kind}")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a text ends at a zero")
    if isinstance(value, bool) != (kind == "b") or isinstance(value, float) != (kind == "d"):
        raise ValueError(f"{value!r} is not of type {kind}")
    if isinstance(value, int) and kind != "b":
        _check(kind, value)
    return kind, value


def _check(kind: str, number: int) -> None:
    if kind not in RANGES:
        raise ValueError(f"{number} is not of type {kind}")
    if not _fits(kind, number):
        raise ValueError(f"{number} does not fit into type {kind}")


def _fits(kind: str, number: int) -> bool:
    low, high = RANGES[kind]
    return low <= number <= high
