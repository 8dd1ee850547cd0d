"""Builds archives byte by byte, as wrong as an attacker could make them. Shares no code with what is tested."""

from __future__ import annotations


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def binary(value: int, width: int) -> bytes:
    """Base 256, as GNU tar writes what does not fit."""
    if value < 0:
        return (value + (1 << (8 * width))).to_bytes(width, "big")
    data = bytearray(value.to_bytes(width, "big"))
    data[0] |= 0x80
    return bytes(data)


def header(
    name: bytes = b"file",
    kind: bytes = b"0",
    size: int | bytes = 0,
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 1_600_000_000,
    link: bytes = b"",
    major: int | bytes = 0,
    minor: int | bytes = 0,
    prefix: bytes = b"",
    magic: bytes = b"ustar\x0000",
    checksum: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    """One header; number fields may be given as raw bytes."""

    def field(value: int | bytes, width: int) -> bytes:
        if isinstance(value, bytes):
            return value.ljust(width, b"\0")
        fits = 0 <= value < 8 ** (width - 1)
        return octal(value, width) if fits else binary(value, width)

    block = bytearray(
        name[:100].ljust(100, b"\0")
        + field(mode, 8) + field(uid, 8) + field(gid, 8) + field(size, 12) + field(mtime, 12)
        + b" " * 8 + kind + link[:100].ljust(100, b"\0") + magic.ljust(8, b"\0")
        + bytes(64) + field(major, 8) + field(minor, 8) + prefix.ljust(155, b"\0") + bytes(12)
    )  # fmt: skip
    if tail:
        block[345 : 345 + len(tail)] = tail
    block[148:156] = checksum if checksum is not None else b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: bytes = b"file", data: bytes = b"", **values: object) -> bytes:
    values.setdefault("size", len(data))
    return header(name, **values) + padded(data)  # type: ignore[arg-type]


def folder(name: bytes, mode: int = 0o755, **values: object) -> bytes:
    return header(name, b"5", mode=mode, **values)  # type: ignore[arg-type]


def symlink(name: bytes, target: bytes, **values: object) -> bytes:
    return header(name, b"2", mode=0o777, link=target, **values)  # type: ignore[arg-type]


def hardlink(name: bytes, target: bytes, **values: object) -> bytes:
    return header(name, b"1", link=target, **values)  # type: ignore[arg-type]


def record(key: bytes, value: bytes) -> bytes:
    """One pax record, whose length counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    return raw_pax(b"".join(record(key, value) for key, value in records), kind)


def raw_pax(data: bytes, kind: bytes = b"x") -> bytes:
    return header(b"PaxHeaders/x", kind, size=len(data)) + padded(data)


def long(data: bytes, kind: bytes = b"L") -> bytes:
    return header(b"././@LongLink", kind, size=len(data) + 1, magic=b"ustar  ") + padded(data + b"\0")


END = bytes(1024)


def archive(*members: bytes) -> bytes:
    return b"".join(members) + END
