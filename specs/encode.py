"""Values to JSON text, letter for letter as `json.dumps` writes them. Exists because `json` loads `re`: 7 ms, which is
more than the commands take that only show a document. Must not know any particular document."""

from __future__ import annotations

try:
    from _json import encode_basestring, encode_basestring_ascii
except ImportError:  # private to CPython
    from json.encoder import encode_basestring, encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def encode(value: Any, indent: str = "", compact: bool = False, ascii: bool = True) -> str:
    """`value` (of dicts, lists, tuples, texts, numbers, booleans and None; names are texts) as JSON. With `indent` a
    member a line; `compact` leaves out the blanks. Raises TypeError for anything else."""
    quote = encode_basestring_ascii if ascii else encode_basestring
    comma, colon = ("," if compact or indent else ", "), (":" if compact else ": ")

    def text(value: Any, inner: str) -> str:
        if value is None or value is True or value is False:
            return {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, str):
            return quote(value)
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, dict):
            members = [f"{quote(name)}{colon}{text(item, inner + indent)}" for name, item in value.items()]
            return wrapped("{", members, "}", inner)
        if isinstance(value, (list, tuple)):
            return wrapped("[", [text(item, inner + indent) for item in value], "]", inner)
        raise TypeError(f"no JSON for {type(value).__name__}")

    def wrapped(begin: str, items: list[str], end: str, inner: str) -> str:
        if not items or not indent:
            return begin + comma.join(items) + end
        return f"{begin}\n{inner}" + f"{comma}\n{inner}".join(items) + f"\n{inner[len(indent) :]}{end}"

    return text(value, indent)
