"""D-Bus messages: what we write is what others read, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunc.sandbox.systemd.message import (
    CALL,
    DESTINATION,
    HEAD_SIZE,
    MEMBER,
    PATH,
    SIGNATURE,
    Malformed,
    call,
    encode,
    parse,
    size,
    split,
)

SAMPLES: list[tuple[str, tuple[Any, ...]]] = [
    ("ybnqiuxtd", (1, True, -2, 3, -4, 5, -6, 7, 1.5)),
    ("sog", ("text", "/a/b", "a(sv)")),
    ("as", (["a", "bc", ""],)),
    ("ay", (b"\x01\x02",)),
    ("a(sv)", ([("A", ("t", 1)), ("B", ("as", ["x"])), ("C", ("a(ss)", [("a", "b")]))],)),
    ("ssa(sv)a(sa(sv))", ("unit", "replace", [("PIDs", ("au", [1, 2]))], [])),
    ("a{sv}", ([("k", ("v", ("i", 1)))],)),
    ("at", ([],)),
]


@pytest.mark.parametrize(("signature", "values"), SAMPLES)
def test_round_trip(signature: str, values: tuple[Any, ...]) -> None:
    """A call that is read again is what was written."""
    data = call(7, "/p", "i.f", "Member", signature, values, "d.e")

    message = parse(data)

    assert size(data) == len(data)
    assert size(data[: HEAD_SIZE - 1]) == 0
    assert (message.kind, message.serial, message.body) == (CALL, 7, list(values))
    assert message.fields == {PATH: "/p", 2: "i.f", MEMBER: "Member", DESTINATION: "d.e", SIGNATURE: signature}


def test_bytes() -> None:
    """The wire form, worked out by hand from the specification."""
    assert encode("yu", (1, 2)) == b"\x01\0\0\0\x02\0\0\0"
    assert encode("a(yt)", ([(1, 2)],)) == b"\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"
    assert encode("v", (("s", "hi"),)) == b"\x01s\0\0\x02\0\0\0hi\0"


def test_big_endian() -> None:
    """A message of a machine of the other byte order is read."""
    data = b"B\x02\0\x01\0\0\0\x04\0\0\0\x05\0\0\0\x0f\x05\x01u\0\0\0\0\x07\x08\x01g\0\x01u\0\0" + b"\0\0\0\x2a"

    message = parse(data)

    assert size(data) == len(data)
    assert (message.serial, message.fields, message.body) == (5, {5: 7, SIGNATURE: "u"}, [42])


@pytest.mark.parametrize(
    ("signature", "parts"), [("", []), ("sa(sv)u", ["s", "a(sv)", "u"]), ("aay(i(s))", ["aay", "(i(s))"])]
)
def test_split(signature: str, parts: list[str]) -> None:
    """A signature is a row of whole types."""
    assert split(signature) == parts


@pytest.mark.parametrize("bad", ["(", "a", "a(s", "z", "s)", "()", "a()", "(s())", "a" * 47 + "s"])
def test_bad_signature(bad: str) -> None:
    """A signature that is none is an error of its own kind."""
    with pytest.raises(Malformed):
        split(bad)


@pytest.mark.parametrize(
    ("signature", "values"), [("u", (-1,)), ("y", (256,)), ("s", (5,)), ("su", ("a",)), ("u", ("a",))]
)
def test_unfitting(signature: str, values: tuple[Any, ...]) -> None:
    """A value that is not of its type never gets onto the wire."""
    with pytest.raises(Malformed):
        encode(signature, values)


WHOLE = call(1, "/p", "i.f", "M", "a(sv)", ([("A", ("as", ["x", "y"]))],), "d")


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_damaged(at: int, byte: int) -> None:
    """One wrong byte makes another message or a Malformed, never another error."""
    data = bytearray(WHOLE)
    data[at] = byte

    try:
        size(data)
        parse(bytes(data))
    except Malformed:
        pass


@given(st.integers(0, len(WHOLE) - 1))
def test_cut_off(length: int) -> None:
    """A message that ends early is no message."""
    with pytest.raises(Malformed):
        parse(WHOLE[:length])


@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    """Whatever comes, the error is ours."""
    try:
        size(data)
        parse(data)
    except Malformed:
        pass
