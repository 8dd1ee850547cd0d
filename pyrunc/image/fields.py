"""The small fields that headers are made of: numbers, times, names. Pure, and strict: a field that is not what it
should be is refused, because another reader might take it for something else.

Must never import anything of this package: every reader of archives builds on it.
"""

from __future__ import annotations

from pyrunc.specs.errors import Invalid


def number(field: bytes, what: str) -> int:
    """A number of a tar header: octal digits between spaces and NULs, or base 256 when the highest bit is set."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return value - (1 << bits) if value >> (bits - 1) else value
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    # int() alone would also take signs, underscores and "0o".
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise Invalid(f"{shown(field)} is no {what}")
    return int(digits, 8)


def unsigned(text: bytes, what: str) -> int:
    """A decimal number of an extended header."""
    if not text.isdigit() or len(text) > 20:
        raise Invalid(f"{shown(text[:40])} is no {what}")
    return int(text)


def seconds(text: bytes, what: str) -> int:
    """Nanoseconds of a time such as -12.5: pax writes decimal fractions, with as many digits as it likes."""
    whole, point, fraction = text.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 20 or (point and not fraction.isdigit()):
        raise Invalid(f"{shown(text[:40])} is no {what}")
    nanoseconds = int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return -nanoseconds if text.startswith(b"-") else nanoseconds


def name(field: bytes) -> bytes:
    """A text field: what stands before the first NUL."""
    return field.partition(b"\0")[0]


def shown(text: bytes) -> str:
    """A name for a message: quoted, and no control character reaches a terminal."""
    import os

    return repr(os.fsdecode(text))
