"""Changes documents and archives in ways that get past the first check: JSON stays JSON, headers keep good checksums.

Used by the coverage-guided fuzzer as its mutator and, where that is not installed, alone. Must be a pure function of
the bytes and the random numbers.
"""

from __future__ import annotations

import gzip
import json
import zlib
from random import Random
from typing import Any

NUMBERS = (
    0, 1, -1, 7, 255, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -(2**63), 2**64 - 1,
    2**64,
)  # fmt: skip
TEXTS = (
    "", "/", ".", "..", "/..", "../x", "a/../../b", "/proc", "/proc/self/fd/7", "/dev", "/sys/fs/cgroup", "cgroup",
    "tmpfs", "proc", "sysfs", "bind", "rbind", "ro", "idmap", "size=1k", "mode=755", "\udc80", "\0", "x" * 300, "é",
    "c 1:3 rwm", "0-3,7", "max", "all", "a:b:c", "SCMP_ACT_NOTIFY", "CAP_SYS_ADMIN", "RLIMIT_CORE", "user",
    "pid", "=", "A", "A=b", "\n",
)  # fmt: skip
VALUES: tuple[Any, ...] = (*NUMBERS, *TEXTS, None, True, False, [], {}, 0.5, 1e300)
# Where a header keeps its numbers, texts and letters: (start, length).
FIELDS = (
    (0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (329, 8), (337, 8),
    (345, 155), (386, 96), (482, 1), (483, 12),
)  # fmt: skip
KINDS = b"0123456789LKxgSVMD\0"
NAMES = (
    b".", b"..", b"/", b"a", b"a/b", b"../a", b"a/..", b"/a/../b", b".wh.a", b".wh..wh..opq", b"a/.wh.b", b"b/",
    b"",
)  # fmt: skip
RECORDS = (
    b"path=a", b"path=../b", b"linkpath=a", b"size=0", b"size=512", b"size=1024", b"uid=0", b"uid=99999999999",
    b"mtime=1.5", b"mtime=-1", b"SCHILY.xattr.user.a=b", b"LIBARCHIVE.xattr.user.a=YQ", b"GNU.sparse.major=1",
    b"GNU.sparse.minor=0", b"GNU.sparse.name=a", b"GNU.sparse.realsize=1024", b"GNU.sparse.map=0,1",
    b"GNU.sparse.size=9", b"GNU.sparse.offset=0", b"GNU.sparse.numbytes=1",
)  # fmt: skip

PIECES = (
    b"[", b"]", b"(", b")", b"<", b">", b"{", b"}", b",", b"'", b'"', b"\\", b"\\u0000", b"\\U0010ffff", b"@", b"@as ",
    b"@a(sv) ", b"@ay ", b"true", b"byte ", b"int16 ", b"uint64 ", b"double ", b"string ", b"objectpath ", b"inf",
    b"signature ", b"nan", b"1e309", b"0x", b"0o7", b"007", b"-", b"18446744073709551615", b"9" * 5000, b" ", b"b'",
    b"\xff",
)  # fmt: skip


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """Flips, cuts, doubles or overwrites something."""
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((1, 1, 2, 8, 64)))
    new = random.choice(
        (b"", bytes([random.randrange(256)]), data[at:end] * 2, data[end : end + 8], b"\xff" * (end - at))
    )
    return data[:at] + new + data[end:]


def mutate_json(data: bytes, random: Random) -> bytes:
    """Changes some members of a document; now and then its bytes."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, random)
    for _ in range(random.choice((1, 1, 2, 4))):
        places = list(_places(document))
        if not places:
            break
        container, key = random.choice(places)
        _change(container, key, random.choice(places), random)
    changed = json.dumps(document).encode()
    return mutate_bytes(changed, random) if random.random() < 0.1 else changed


def _places(value: Any, depth: int = 0) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        if depth < 40:
            yield from _places(item, depth + 1)


def _change(container: Any, key: Any, other: tuple[Any, Any], random: Random) -> None:
    what = random.randrange(6)
    try:
        if what == 0:
            del container[key]
        elif what == 1:
            container[key] = json.loads(json.dumps(other[0][other[1]]))
        elif what == 2 and isinstance(container, list):
            container.append(json.loads(json.dumps(container[key])))
        elif what == 3 and isinstance(container, dict):
            container[random.choice(TEXTS)] = container.pop(key)
        elif what == 4 and type(container[key]) is type(other[0][other[1]]):
            container[key] = other[0][other[1]]
        else:
            container[key] = random.choice(VALUES)
        json.dumps(container)
    except (
        IndexError,
        KeyError,
        ValueError,
        RecursionError,
    ):  # an earlier change took it away, or it would hold itself
        pass
    _cut_circles(container, key)


def _cut_circles(container: Any, key: Any) -> None:
    try:
        json.dumps(container)
    except (ValueError, RecursionError):
        container[key] = None


def mutate_tar(data: bytes, random: Random) -> bytes:
    """Changes fields of headers, records of pax and the order of blocks; checksums are made good again."""
    blocks = [data[at : at + 512].ljust(512, b"\0") for at in range(0, min(len(data), 1 << 16), 512)] or [bytes(512)]
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(blocks))
        what = random.randrange(8)
        if what == 0 and len(blocks) > 1:
            del blocks[at]
        elif what == 1 and len(blocks) < 64:
            blocks.insert(at, random.choice(blocks))
        elif what == 2:
            blocks[at] = mutate_bytes(blocks[at], random)[:512].ljust(512, b"\0")
        elif what == 3:
            text = b"".join(b"%d %s\n" % (_length(record), record) for record in random.choices(RECORDS, k=3))
            blocks[at:at] = [_header(b"x", b"x", len(text)), text.ljust(512, b"\0")]
        elif what == 4:
            blocks.insert(at, _header(random.choice(NAMES), bytes([random.choice(KINDS)]), 0))
        else:
            blocks[at] = _field(blocks[at], random)
    return b"".join(_summed(block) for block in blocks)


def _field(block: bytes, random: Random) -> bytes:
    start, length = random.choice(FIELDS)
    if length == 1:
        value = bytes([random.choice(KINDS)])
    elif length > 90:
        value = random.choice(NAMES)
    else:
        number = random.choice(NUMBERS)
        octal = b"%0*o\0" % (length - 1, abs(number))
        binary = b"\x80" + (number % 2**64).to_bytes(8, "big").rjust(length - 1, b"\0")
        value = random.choice((octal, binary, b" 7 ", b"8"))
    return block[:start] + value.ljust(length, b"\0")[:length] + block[start + length :]


def _length(record: bytes) -> int:
    length = len(record) + 3
    return length if len(str(length)) == 1 else len(record) + 2 + len(str(len(record) + 4))


def _header(name: bytes, kind: bytes, size: int) -> bytes:
    numbers = b"0000755\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0"
    return (name.ljust(100, b"\0") + numbers + b" " * 8 + kind + b"a".ljust(100, b"\0") + b"ustar\x0000").ljust(
        512, b"\0"
    )


def _summed(block: bytes) -> bytes:
    if block[257:262] != b"ustar":
        return block
    return block[:148] + b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256) + block[156:]


def mutate_archive(data: bytes, random: Random) -> bytes:
    """An archive that may be compressed, which stays it mostly."""
    if not data.startswith(b"\x1f\x8b") or random.random() < 0.2:
        return mutate_bytes(data, random) if random.random() < 0.1 else mutate_tar(data, random)
    try:
        return gzip.compress(mutate_tar(gzip.decompress(data), random), 1, mtime=0)
    except (OSError, EOFError, zlib.error):
        return mutate_bytes(data, random)


def mutate_text(data: bytes, random: Random) -> bytes:
    """Puts in, or in the place of something, a piece of a GVariant text."""
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((0, 0, 1, 4)))
    if random.random() < 0.3:
        return mutate_bytes(data, random)
    return data[:at] + random.choice(PIECES) * random.choice((1, 1, 1, 2, 20)) + data[end:]


MUTATORS = {
    "config": mutate_json, "image": mutate_json, "tar": mutate_tar, "layer": mutate_tar, "dbus": mutate_bytes,
    "criu": mutate_bytes, "gvariant": mutate_text, "seccomp": mutate_json, "store": mutate_json,
    "archives": mutate_archive, "stream": mutate_bytes, "challenge": mutate_bytes,
}  # fmt: skip
