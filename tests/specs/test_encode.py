"""JSON as `json` writes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunc.specs.encode import encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_as_json(value: object) -> None:
    """Letter for letter, in each of the forms that are used."""
    assert encode(value) == json.dumps(value)
    assert encode(value, indent="\t", ascii=False) == json.dumps(value, indent="\t", ensure_ascii=False)
    assert encode(value, indent="    ") == json.dumps(value, indent=4)
    assert encode(value, compact=True) == json.dumps(value, separators=(",", ":"))


def test_no_json() -> None:
    """What JSON has no word for is an error."""
    with pytest.raises(TypeError, match="no JSON for bytes"):
        encode([b""])
