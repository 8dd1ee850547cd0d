"""Where in a text a member name is repeated: the slow second reading that an error message deserves.

Loaded only after the fast decoder has refused a document; it must accept no document that the decoder refuses.
"""

from __future__ import annotations

from json import JSONDecoder
from typing import Any


class Repeat:
    """Stands in the place of an object that has one name twice."""

    def __init__(self, name: str) -> None:
        self.name = name


def mark_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Repeat:
    """The members, or a `Repeat` in their place."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return Repeat(name)
        seen.add(name)
    return dict(pairs)


def place_of_repeat(text: str, start: int) -> str:
    """The pointer of the first repeat in `text`, or nothing if the text breaks off as JSON after it."""
    try:
        value, _ = JSONDecoder(object_pairs_hook=mark_repeats).raw_decode(text, start)
    except (ValueError, RecursionError):
        return ""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        pointer, value = waiting.pop()
        if isinstance(value, Repeat):
            return f"{pointer}.{value.name}".lstrip(".")
        if isinstance(value, dict):
            waiting += [(f"{pointer}.{name}".lstrip("."), item) for name, item in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{pointer}[{index}]", item) for index, item in reversed(list(enumerate(value)))]
    return ""
