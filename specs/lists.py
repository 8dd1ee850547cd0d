"""Lists of CPUs and of memory nodes, such as `0-3,7`: cpuset(7), "List format".

Spaces and empty elements are passed over, as runc does. Must not know how many CPUs or nodes there are.
"""

from __future__ import annotations

LARGEST = 1023


def members(text: str) -> int:
    """The members as bits, member 0 the lowest. Raises ValueError, which says what is wrong with the list."""
    bits = 0
    for part in text.split(","):
        part = part.strip()
        if part:
            first, dash, last = part.partition("-")
            low, high = _number(first), _number(last if dash else first)
            if low > high:
                raise ValueError(f"invalid range: {part}")
            bits |= (2 << high) - (1 << low)
    if not bits:
        raise ValueError(f'no members found in set "{text}"')
    return bits


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'"{text}" is not a number')
    if len(text.lstrip("0")) > 4 or int(text) > LARGEST:
        raise ValueError(f"values larger than {LARGEST} are not supported")
    return int(text)
