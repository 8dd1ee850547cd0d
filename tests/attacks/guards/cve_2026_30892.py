"""Strict numbers: a parser like atoi(3) in the place of the strict one."""

TAKEN_OUT = (
    (
        "pyrunc/cli/exec.py",
        "    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > MAX_ID:",
        "    text = str(int('0' + text[: len(text) - len(text.lstrip('0123456789'))]) & 0xFFFFFFFF)\n    if not text:",
    ),
)
