"""What a command that was lied to may answer: one record of one error, perhaps one hint, and nothing else."""

from __future__ import annotations

import re

RECORD = re.compile(r'time="[^"]+" level=error msg="((?:[^"\\\n]|\\.)*)"\n(?:  hint: [^\n]+\n)?')
BARE = re.compile(r"exec /[^\n]+\n")  # what the kernel says of the container's program is said by itself
ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|(.))")
LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def message_of(status: int, out: str, err: str) -> str:
    """The message of the one record; fails when there is anything else."""
    assert (status, out) == (1, ""), (status, out, err[:2000])
    if BARE.fullmatch(err):
        return err.rstrip("\n")
    found = RECORD.fullmatch(err)
    assert found, f"not one record of one error: {err[:2000]!r}"
    message = ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else LETTERS.get(m[2], m[2]), found[1])
    assert "internal error" not in message and len(err) < 4096, err
    return message


def agrees(message: str, says: str | re.Pattern[str]) -> bool:
    """Exactly, or the pattern from end to end."""
    return message == says if isinstance(says, str) else says.fullmatch(message) is not None
