"""Annotations org.systemd.property.*"""

from __future__ import annotations

from typing import Any

import pytest

from pyrunc.sandbox.systemd.gvariant import annotated, parse
from pyrunc.specs.errors import Invalid


@pytest.mark.parametrize(
    ("text", "signature", "value"),
    [
        ("uint64 123456789", "t", 123456789), ("'inactive-or-failed'", "s", "inactive-or-failed"), ("true", "b", True),
        ("15", "i", 15), ("-3", "i", -3), ("5000000000", "x", 5000000000), ("0x10", "i", 16), ("010", "i", 8),
        ("1.5", "d", 1.5), ("double 2", "d", 2.0), ("byte 7", "y", 7), ("['a', \"b\"]", "as", ["a", "b"]),
        ("[(uint32 1, 's')]", "a(us)", [(1, "s")]), ("@as []", "as", []),
        ("@a(ss) [('a', 'b')]", "a(ss)", [("a", "b")]),
        ("('a', 1)", "(si)", ("a", 1)), ("<int16 5>", "v", ("n", 5)), ("'it\\'s \\u00e4'", "s", "it's ä"),
        ("objectpath '/a'", "o", "/a"), ("[byte 1, 2]", "ay", b"\x01\x02"), ("[true, false]", "ab", [True, False]),
        ("b'abc'", "ay", b"abc\0"), ("  'x'  ", "s", "x"), ("control-group", "s", "control-group"),
    ],
)  # fmt: skip
def test_texts(text: str, signature: str, value: Any) -> None:
    """A GVariant text says its type; a bare number and a bare word have one all the same."""
    assert parse(text) == (signature, value)


@pytest.mark.parametrize(
    "text",
    ["", "uint64", "uint64 -1", "byte 256", "'open", "[1, 'a']", "[]", "(1", "[1", "1 2", "uint64 'a'", "string 5",
     "boolean 1", "<1", "@as [1]", "1x", "'a' b", "[" * 50, "\\", "int32 5000000000"],
)  # fmt: skip
def test_broken(text: str) -> None:
    """A text that is damaged or of another type is refused, and never ends in another error."""
    with pytest.raises((ValueError, IndexError, Invalid)):
        parse(text)


def test_annotations() -> None:
    """The properties of the annotations, in their order; others are not looked at."""
    given = {
        "org.systemd.property.KillSignal": "2", "other": "[", "org.systemd.property.TimeoutStopUSec": "10000000",
        "org.systemd.property.CollectMode": "'inactive-or-failed'",
    }  # fmt: skip

    assert annotated(given) == [
        ("KillSignal", "i", 2),
        ("TimeoutStopUSec", "t", 10000000),
        ("CollectMode", "s", "inactive-or-failed"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("TimeoutStopSec", "2", ("TimeoutStopUSec", "t", 2000000)),
        ("RuntimeMaxSec", "1.5", ("RuntimeMaxUSec", "t", 1500000)),
        ("TimeoutStopUSec", "uint64 5", ("TimeoutStopUSec", "t", 5)),
        ("MemorySec", "uint32 1", ("MemoryUSec", "t", 1000000)),
    ],
)
def test_seconds(name: str, text: str, expected: object) -> None:
    """What is documented in seconds is told in microseconds."""
    assert annotated({f"org.systemd.property.{name}": text}) == [expected]


@pytest.mark.parametrize("name", ["PIDs", "PIDFDs"])
def test_processes_of_others(name: str) -> None:
    """No annotation puts a process of the host into the unit, which would end with it."""
    with pytest.raises(Invalid, match="are the container's"):
        annotated({f"org.systemd.property.{name}": "[uint32 1]"})


@pytest.mark.parametrize(
    ("name", "text"),
    [("ab", "1"), ("", "1"), ("Timeout9", "1"), ("Timeout Stop", "1"), ("TimeoutStopSec", "'a'"),
     ("TimeoutStopSec", "-5"), ("KillSignal", "[1"), ("TimeoutStopSec", "1e300"), ("TimeoutStopSec", "double inf"),
     ("Property", "[byte 1.5]"), ("Property", "@assignature []"), ("Property", "'a\\u0000b'"), ("Property", "@( 1")],
)  # fmt: skip
def test_refused(name: str, text: str) -> None:
    """A name that is none, and a value that is none, are refused by the annotation's name."""
    with pytest.raises(Invalid, match="org.systemd.property."):
        annotated({f"org.systemd.property.{name}": text})
