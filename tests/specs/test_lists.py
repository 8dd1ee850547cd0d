"""Lists of CPUs and memory nodes."""

from __future__ import annotations

import pytest

from pyrunc.specs.lists import members


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", {0}), ("0-3,7", {0, 1, 2, 3, 7}), (" 1, 3-5 ", {1, 3, 4, 5}), ("1,,", {1}), ("1023", {1023}), ("2-2", {2})],
)
def test_members(text: str, expected: set[int]) -> None:
    """Numbers and rising ranges between commas; spaces and empty elements count for nothing."""
    assert members(text) == sum(1 << number for number in expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no members"), (" , ", "no members"), ("-1", "not a number"), ("3-1", "invalid range: 3-1"),
        ("1-2-3", "not a number"), ("\u0661", "not a number"), ("a", "not a number"), ("1 2", "not a number"),
        ("1024", "larger than 1023"), ("0-9876543210", "larger than 1023"), ("9" * 9999, "larger than 1023"),
    ],
)  # fmt: skip
def test_bad_lists(text: str, message: str) -> None:
    """What is no such list says what is wrong with it."""
    with pytest.raises(ValueError, match=message):
        members(text)
