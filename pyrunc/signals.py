"""Signals by name and number, as `pyrunc kill` takes them. Hot path; must not import `signal`, which loads enum.

Numbers are those of x86_64 and aarch64 (asm-generic/signal.h).
"""

from __future__ import annotations

from pyrunc.specs.errors import PyruncError

NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
)  # fmt: skip
ALIASES = {"IOT": 6, "CLD": 17, "POLL": 29}

KILL = 9
# What glibc shows as SIGRTMIN (it keeps 32 and 33 for its threads); programs in containers count from there.
RTMIN = 34
RTMAX = 64


def parse(text: str) -> int:
    """The number of `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3`, `SIGRTMAX-1`. 0 only asks for the process."""
    if text.isascii() and text.isdecimal():
        number = int(text) if len(text) < 4 else RTMAX + 1
        if number <= RTMAX:
            return number
        raise _unknown(text)
    name = text.upper().removeprefix("SIG")
    if name in NAMES:
        return NAMES.index(name) + 1
    if name in ALIASES:
        return ALIASES[name]
    if name.startswith("RTM"):
        return _real_time(name, text)
    raise _unknown(text)


def _real_time(name: str, text: str) -> int:
    base, offset = name[:5], name[6:]
    steps = int(offset) if offset.isascii() and offset.isdecimal() and len(offset) < 3 else -1
    if base == "RTMIN" and (name == base or (name[5] == "+" and 0 <= steps <= RTMAX - RTMIN)):
        return RTMIN + max(steps, 0)
    if base == "RTMAX" and (name == base or (name[5] == "-" and 0 <= steps <= RTMAX - RTMIN)):
        return RTMAX - max(steps, 0)
    raise _unknown(text)


def _unknown(text: str) -> PyruncError:
    return PyruncError(f'unknown signal "{text}"')
