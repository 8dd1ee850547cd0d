"""What host and launcher say to each other: message types and detail codes, the same numbers as in native/protocol.h.

The launcher sends numbers, Python owns the English (failures.py). On the hot path.
"""

from __future__ import annotations

from _struct import Struct

CONTROL_FD = 3
MAX_TEXT = 2048
MAX_PREPARED = 4096  # bytes of a program

MESSAGE = Struct("<IIqq")  # type, index, a, b
MESSAGE_PLAN = 1
MESSAGE_SPAWNED = 2
MESSAGE_SYNC = 3
MESSAGE_GO = 4
MESSAGE_FAIL = 5
MESSAGE_OPEN = 6
MESSAGE_OPENED = 7
MESSAGE_PREPARE = 8

DETAIL_NONE = 0
DETAIL_MALFORMED_PLAN = 1
DETAIL_UNSEALED_PLAN = 2
DETAIL_EMPTY_SLOT = 3
DETAIL_MEMORY = 4
DETAIL_TARGET_IS_ROOT = 10
DETAIL_TARGET_CHANGED = 11
DETAIL_NOT_ORDINARY_FOLDER = 12
DETAIL_LOCKED_FLAGS = 13
DETAIL_OPTION = 14
DETAIL_FILE_SYSTEM = 15
DETAIL_NOT_NULL = 16
DETAIL_OTHER_DEVICE = 17
DETAIL_EXISTS_DIFFERENT = 18
DETAIL_NOT_PROCFS = 19
DETAIL_NOT_DEVPTS = 20
DETAIL_SOURCE = 21
DETAIL_TARGET = 22
DETAIL_ID_MAP = 23
DETAIL_CWD_OUTSIDE = 30
DETAIL_NOT_IN_PATH = 31
DETAIL_NO_SUCH_PROGRAM = 32
DETAIL_NOT_EXECUTABLE = 33
DETAIL_IS_FOLDER = 34
DETAIL_BAD_GROUP = 35
DETAIL_HOOK_START = 40
DETAIL_HOOK_EXITED = 41
DETAIL_HOOK_KILLED = 42
DETAIL_HOOK_TIMEOUT = 43


def detail_of(b: int) -> tuple[int, int]:
    """A FAIL's `b` as (detail code, the code's own number)."""
    return b & 0xFFFF_FFFF, b >> 32
