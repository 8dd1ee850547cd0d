"""Who an image's process runs as: the config's `User` looked up in the root file system's own passwd and group.

These files come from the image. They are opened inside the root, only when they are regular (a fifo would hang us,
a device might do anything) and only up to a size. A number is a number: it is checked for its range and never
looked up as a name, and no name may lead to an id that wraps around to 0 (CVE-2024-40635, CVE-2026-46680,
CVE-2026-47262).
Must never ask the host's user database.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pyrunc.sandbox import files
from pyrunc.specs.errors import Invalid

LIMIT_ID = (1 << 31) - 1
LIMIT_FILE = 8 << 20


class Identity:
    """Numeric ids."""

    __slots__ = ("additional_gids", "gid", "uid")

    def __init__(self, uid: int, gid: int, additional_gids: tuple[int, ...] = ()) -> None:
        self.uid = uid
        self.gid = gid
        self.additional_gids = additional_gids


def resolve(user: str, root: int) -> Identity:
    """The ids of `user`, `uid`, `user:group` and the like in the root folder ROOT (an fd); "" is user 0.

    A group given by name or number stands alone; without one the user's groups come from the two files.
    """
    who, colon, group = user.partition(":")
    who = who or "0"
    uid, gid, name = _user(who, root)
    if colon and group:
        return Identity(uid, _group(group, root))
    return Identity(uid, gid, _memberships(name, gid, root) if name else ())


def _user(who: str, root: int) -> tuple[int, int, str]:
    """The user's id and group, and the name, which is "" for an id that passwd does not know."""
    wanted = _id(who, "user")
    for row in _rows(root, b"etc/passwd", 4):
        if row[0] == who if wanted is None else row[2] == str(wanted):
            return _file_id(row[2], who), _file_id(row[3], who), row[0]
    if wanted is None:
        raise Invalid(f"the user {who!r} is not in the image's /etc/passwd", "config.User")
    return wanted, 0, ""


def _group(group: str, root: int) -> int:
    wanted = _id(group, "group")
    if wanted is not None:
        return wanted
    for row in _rows(root, b"etc/group", 3):
        if row[0] == group:
            return _file_id(row[2], group)
    raise Invalid(f"the group {group!r} is not in the image's /etc/group", "config.User")


def _memberships(name: str, gid: int, root: int) -> tuple[int, ...]:
    """The groups that list the user as a member."""
    found = {_file_id(row[2], row[0]) for row in _rows(root, b"etc/group", 4) if name in row[3].split(",")}
    return tuple(sorted(found - {gid}))


def _id(text: str, what: str) -> int | None:
    """The number that TEXT is; None when it is a name."""
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return None
    if digits != text or len(text) > 10 or int(text) > LIMIT_ID:
        raise Invalid(f"the {what} {text} is out of range", "config.User", hint=f"0 to {LIMIT_ID}")
    return int(text)


def _file_id(text: str, name: str) -> int:
    number = _id(text, "id")
    if number is None:
        raise Invalid(f"the entry of {name!r} in the image's passwd or group has no number", "config.User")
    return number


def _rows(root: int, path: bytes, fields: int) -> Iterator[list[str]]:
    """The lines of a file that have at least so many fields."""
    for line in _text(root, path).split("\n"):
        row = line.rstrip("\r").split(":")
        if len(row) >= fields and row[0] and not row[0].startswith("#"):
            yield row


def _text(root: int, path: bytes) -> str:
    try:
        handle = files.open_in_root(root, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        # Looked at before it is opened, because to open a device may already do something.
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Invalid(f"the image's /{path.decode()} is not a regular file", "config.User")
        with open(f"/proc/self/fd/{handle}", "rb") as file:
            data = file.read(LIMIT_FILE + 1)
    finally:
        os.close(handle)
    if len(data) > LIMIT_FILE:
        raise Invalid(f"the image's /{path.decode()} is larger than {LIMIT_FILE} bytes", "config.User")
    return data.decode("utf-8", "surrogateescape")
