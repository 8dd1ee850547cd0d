"""The records of pax headers: `length key=value newline`, and what the values mean. Pure, and strict to the byte.

Must never pass over what it does not understand in the form of a record: only unknown keys are ignored.
"""

from __future__ import annotations

from pyrunc.image.fields import shown
from pyrunc.specs.errors import Invalid

LIMIT_RECORDS = 1 << 20  # bytes of one extended header
XATTR = b"SCHILY.xattr."
LIBARCHIVE_XATTR = b"LIBARCHIVE.xattr."


def parse(data: bytes) -> list[tuple[bytes, bytes]]:
    """The records in their order; a record's length must lead exactly to the end of its line."""
    records: list[tuple[bytes, bytes]] = []
    start = 0
    while start < len(data):
        space = data.find(b" ", start, start + 8)
        length = data[start:space] if space > 0 else b""
        if not length.isdigit() or length.startswith(b"0"):
            raise Invalid("a record of an extended header has no length")
        end = start + int(length)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1 : end] != b"\n" or not equals or not key:
            raise Invalid("a record of an extended header is malformed")
        if b"\0" in key or (b"\0" in value and not key.startswith(XATTR)):
            raise Invalid("a record of an extended header holds a NUL byte")
        records.append((key, value))
        start = end
    return records


def xattrs(values: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The extended attributes among the records: raw ones (star, GNU tar, Go), or encoded twice over (libarchive)."""
    found: dict[bytes, bytes] = {}
    for key, value in values.items():
        if key.startswith(LIBARCHIVE_XATTR):
            from base64 import b64decode
            from urllib.parse import unquote_to_bytes

            try:
                raw = b64decode(value + b"=" * (-len(value) % 4), validate=True)
            except ValueError:
                raise Invalid(f"{shown(key[:80])} is not in base64") from None
            found.setdefault(unquote_to_bytes(key[len(LIBARCHIVE_XATTR) :]), raw)
    for key, value in values.items():
        if key.startswith(XATTR):
            found[key[len(XATTR) :]] = value
    if any(not name or b"\0" in name for name in found):
        raise Invalid("an extended attribute without a proper name")
    return found
