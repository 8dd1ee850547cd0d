"""Names, numbers and the five sets."""

from __future__ import annotations

import pytest

from pyrunc.sandbox.capabilities import NAMES, NUMBERS, masks, names_of
from tests.sandbox.documents import capabilities

KILL, CHOWN, NET_RAW = 1 << 5, 1 << 0, 1 << 13


def test_numbers_of_the_kernel() -> None:
    """The table is that of linux/capability.h."""
    found = {}
    try:
        with open("/usr/include/linux/capability.h", encoding="ascii") as file:
            for line in file:
                words = line.split()
                if len(words) == 3 and words[0] == "#define" and words[1].startswith("CAP_") and words[2].isdigit():
                    found[words[1]] = int(words[2])
    except FileNotFoundError:
        pytest.skip("needs the kernel's headers")

    assert found == NUMBERS


def test_absent_drops_all() -> None:
    """Without the object a process has nothing, and nothing to complain about."""
    assert masks(None, 40) == (0, 0, 0, 0, 0, [])


def test_five_sets() -> None:
    """Each set is a mask of its own."""
    names = ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"]
    sets = capabilities(
        bounding=names,
        permitted=names,
        effective=["CAP_KILL"],
        inheritable=["CAP_KILL", "CAP_CHOWN"],
        ambient=["CAP_CHOWN"],
    )

    every = KILL | CHOWN | NET_RAW
    assert masks(sets, 40) == (every, KILL, every, KILL | CHOWN, CHOWN, [])


def test_unknown_is_a_warning() -> None:
    """Names that nobody knows, that this kernel lacks or that the caller cannot give are left out with one warning."""
    sets = capabilities(
        bounding=["CAP_KILL", "CAP_TIME_TRAVEL", "CAP_BPF"],
        permitted=["CAP_KILL", "CAP_TIME_TRAVEL"],
        effective=["kill"],
    )
    bounding, effective, permitted, _, _, warnings = masks(sets, 37)

    assert (bounding, effective, permitted) == (KILL, 0, KILL)
    assert warnings == ["ignoring unknown or unavailable capabilities: [CAP_TIME_TRAVEL CAP_BPF kill]"]
    assert masks(capabilities(bounding=["CAP_KILL", "CAP_CHOWN"]), 40, grantable=CHOWN)[0] == CHOWN


def test_ambient_needs_permitted_and_inheritable() -> None:
    """What an ambient capability lacks elsewhere costs it, with a warning; the kernel would refuse the call."""
    sets = capabilities(bounding=["CAP_KILL"], permitted=["CAP_KILL"], ambient=["CAP_KILL"])
    *_, ambient, warnings = masks(sets, 40)

    assert ambient == 0
    assert warnings == ["can't raise ambient capability CAP_KILL: it is not both permitted and inheritable"]


def test_sets_that_capset_would_refuse() -> None:
    """Effective beyond permitted, inheritable beyond bounding: left out with a warning each."""
    sets = capabilities(
        bounding=["CAP_KILL"], permitted=["CAP_KILL"], effective=["CAP_CHOWN"], inheritable=["CAP_NET_RAW"]
    )
    _, effective, _, inheritable, _, warnings = masks(sets, 40)

    assert (effective, inheritable, len(warnings)) == (0, 0, 2)


def test_names_of() -> None:
    """Masks read back as names; numbers of the future too."""
    assert names_of(KILL | CHOWN) == ["CAP_CHOWN", "CAP_KILL"]
    assert names_of(-1) == list(NAMES)
    assert names_of(1 << 41) == ["cap_41"]
