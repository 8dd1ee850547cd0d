"""Extended attributes: which of them an image may set, and how stale ones go.

Must never touch labels of the machine that the image was made on or is unpacked on.
"""

from __future__ import annotations

import os

from pyrunc.specs.errors import Invalid

# They belong to one machine (labels), or would mislead an overlay mount.
SKIPPED = (b"security.selinux", b"system.nfs4_acl")
SKIPPED_BELOW = (b"trusted.overlay.", b"user.overlay.")
# Where the owner stands that a file would have, as umoci and others agreed (rootlesscontainers.Resource in protobuf).
OWNER = b"user.rootlesscontainers"
NO_ID = (1 << 32) - 1


def skipped(name: bytes) -> bool:
    return name in SKIPPED or name.startswith(SKIPPED_BELOW)


def clear(file: int | bytes) -> None:
    """Removes every attribute of a file, or of what a path names when it is given as one (no link is followed)."""
    follow = isinstance(file, int)
    for name in os.listxattr(file, follow_symlinks=follow):
        if not skipped(os.fsencode(name)):
            os.removexattr(file, name, follow_symlinks=follow)


def with_owner(xattrs: dict[bytes, bytes], uid: int, gid: int) -> dict[bytes, bytes]:
    """The attributes of a file, with its owner among them instead of what the image itself says there. Root's need no
    mention: they are what the files of a user's bundle have anyway."""
    kept = {name: value for name, value in xattrs.items() if name != OWNER}
    if uid or gid:
        kept[OWNER] = b"\x08" + varint(uid or NO_ID) + b"\x10" + varint(gid or NO_ID)
    return kept


def varint(number: int) -> bytes:
    """A number as protobuf has it: seven bits a byte, the lowest first, the top bit set in all but the last."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def owner(value: bytes, uid: int, gid: int) -> tuple[int, int]:
    """The owner that the attribute's VALUE speaks of (`with_owner`), where it says nothing of one the given one."""
    if not value:
        return uid, gid
    found = {1: 0, 2: 0}
    at = 0
    while at < len(value):
        tag, at = _number(value, at)
        if tag & 7:
            raise Invalid("the attribute user.rootlesscontainers is damaged")
        found[tag >> 3], at = _number(value, at)
    # NO_ID stands for 0, which protobuf would not have written.
    return found[1] % NO_ID, found[2] % NO_ID


def _number(value: bytes, at: int) -> tuple[int, int]:
    """The varint at AT, and where it ends."""
    number = shift = 0
    while at < len(value) and shift < 64:
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at
    raise Invalid("the attribute user.rootlesscontainers is damaged")
