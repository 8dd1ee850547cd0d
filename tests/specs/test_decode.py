"""Bytes to JSON values: everything in which two readers could differ is refused, with its place."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrunc.specs import decode as module
from pyrunc.specs.decode import MAX_BYTES, MAX_DEPTH, UINT32, Node, decode
from pyrunc.specs.errors import Invalid
from pyrunc.specs.rules import problems
from pyrunc.specs.runtime import decode_spec
from tests.specs.documents import whole


def refusal(data: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        decode(data)
    return caught.value


def test_agrees_with_the_library() -> None:
    """What the standard library reads, the decoder reads the same."""
    data = json.dumps(whole(), indent="\t").encode()

    assert json.loads(data) == decode(data)


def test_other_white_space_around_the_value() -> None:
    """White space around the one value is allowed, as JSON defines it and no other."""
    assert decode(b" \r\n\t{} \n") == {}
    assert "expected a value" in refusal("\u00a0{}".encode()).message


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "line 1, column 1"),
        (b"{]", "line 1, column 2"),
        (b'{"a":1}\n{}', "line 2, column 1"),
        (b'{"a":1}}', "line 1, column 8"),
        (b"{'a':1}", "line 1, column 2"),
        (b'{"a":01}', "line 1, column 7"),
        (b'{"a":"\n"}', "line 1, column 7"),
        (b"[1,]", "line 1"),
        (b"\xef\xbb\xbf{}", "line 1, column 1"),
        (b"1" * 5000, "line 1, column 1"),
    ],
)
def test_says_where_it_is_not_json(data: bytes, place: str) -> None:
    """Malformed JSON is refused with its line and column."""
    error = refusal(data)

    assert error.message.startswith("not JSON: ")
    assert place in error.message


@pytest.mark.parametrize("data", [b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xaf"}'])
def test_only_utf8(data: bytes) -> None:
    """Bytes that are not UTF-8, over-long forms and encoded surrogates are refused with their place."""
    assert refusal(data).message == "byte 6 of the document is not UTF-8"


def test_half_a_character() -> None:
    """An escape may not make half a surrogate pair; a whole pair is a character."""
    assert decode(rb'{"a":"\ud83d\ude00"}') == {"a": "\N{GRINNING FACE}"}
    assert "surrogate" in refusal(rb'{"a":["\ud800"]}').message
    assert "surrogate" in refusal(rb'{"\uDC00":1}').message


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'{"a":1,"a":2}', "a"),
        (b'{"a":{"b":[1,{"c":1,"d":2,"c":3}]}}', "a.b[1].c"),
        (b'[{"a":1},{"x":1,"x":1}]', "[1].x"),
        (b'{"a":1,"\\u0061":2}', "a"),
    ],
)
def test_no_name_twice(data: bytes, pointer: str) -> None:
    """A member name that occurs twice in an object is refused, and the error says which and where."""
    error = refusal(data)

    assert error.pointer == pointer
    assert error.message == "this member name occurs twice in one object"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_no_constants(number: str) -> None:
    """The numbers that JSON does not have are refused even where nobody looks at them."""
    assert refusal(f'{{"unknown":{number}}}'.encode()).message == f"{number} is not a JSON number"


def nested(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * levels + "0" + closing * levels).encode()


def test_depth_has_a_limit() -> None:
    """Nesting is refused from one exact depth on, however deep, and never ends in a RecursionError."""
    assert decode(nested(MAX_DEPTH))
    for levels in (MAX_DEPTH + 1, 900, 2_000, 100_000):
        assert "levels deep" in refusal(nested(levels)).message
        assert "levels deep" in refusal(nested(levels, '{"a":', "}")).message


def test_many_brackets_are_not_depth() -> None:
    """A long document is not a deep one."""
    assert decode(b"[" + b"[],{}," * 5000 + b"[]]")


def test_size_has_a_limit() -> None:
    """A document above the limit is refused before it is read."""
    data = b'"' + b"x" * (MAX_BYTES - 2) + b'"'

    assert len(decode(data)) == MAX_BYTES - 2
    assert "more than" in refusal(data + b" ").message


def test_works_without_the_private_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `_json` has no scanner, or another one, the public library does the same."""
    original = builtins.__import__

    def without_json(name: str, *rest: Any, **more: Any) -> Any:
        if name == "_json":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_json)
    scan = module.scanner()
    monkeypatch.undo()
    monkeypatch.setattr(module, "scan", scan)

    assert scan is not module.scanner()
    assert decode(b' {"a":[1,2.5,"x"]} ') == {"a": [1, 2.5, "x"]}
    assert refusal(b'{"a":1,"a":2}').pointer == "a"
    assert refusal(b"{]").message.startswith("not JSON: ")
    assert refusal(b'{"a":NaN}').message == "NaN is not a JSON number"
    assert "levels deep" in refusal(nested(100_000)).message


NODE = Node(
    {"text": "x", "nul": "a\0b", "true": True, "one": 1, "float": 1.0, "exp": 1e3, "null": None, "list": ["a", 1]},
    "here",
)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: NODE.text("one"), "expected a string, found a number (here.one)"),
        (lambda: NODE.text("nul"), "a NUL character is not allowed here (here.nul)"),
        (lambda: NODE.texts("list"), "expected a string, found a number (here.list[1])"),
        (lambda: NODE.texts("text"), "expected an array, found a string (here.text)"),
        (lambda: NODE.flag("one"), "expected a boolean, found a number (here.one)"),
        (lambda: NODE.integer("true", UINT32), "expected an integer, found a boolean (here.true)"),
        (lambda: NODE.integer("float", UINT32), "expected an integer, found 1.0 (here.float)"),
        (lambda: NODE.integer("exp", UINT32), "expected an integer, found 1000.0 (here.exp)"),
        (lambda: NODE.integer("one", (2, 3)), "expected an integer from 2 to 3, found 1 (here.one)"),
        (lambda: NODE.integers("list", UINT32), "expected an integer, found a string (here.list[0])"),
        (lambda: NODE.map("list"), "expected an object, found an array (here.list)"),
        (lambda: NODE.child("text", Node), "expected an object, found a string (here.text)"),
        (lambda: NODE.required_text("null"), "this property is required (here.null)"),
        (lambda: NODE.required_integer("absent", UINT32), "this property is required (here.absent)"),
        (lambda: Node({"m": {"a.b": 1}}).text_map("m"), 'expected a string, found a number (m["a.b"])'),
        (lambda: Node([], ""), "expected an object, found an array"),
    ],
)
def test_says_what_it_expected(read: Any, message: str) -> None:
    """A value of the wrong kind is named with what was expected, what is there, and its place."""
    with pytest.raises(Invalid) as caught:
        read()

    assert str(caught.value) == message


def test_null_is_absent() -> None:
    """A member that is null counts as absent, whatever it would have been."""
    assert NODE.text("null") == NODE.text("absent") == ""
    assert NODE.texts("null") == ()
    assert NODE.optional_texts("null") is None
    assert NODE.flag("null") is False
    assert NODE.optional_flag("null") is None
    assert NODE.integer("null", UINT32) is None
    assert NODE.text_map("null") == {}
    assert NODE.child("null", Node) is None
    assert NODE.children("null", Node) == ()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=4), st.integers(0, 10))
def test_damaged_documents(position: int, bytes_put: bytes, bytes_lost: int) -> None:
    """A document with bytes put in or lost is read as the standard library reads it, or refused, nothing else."""
    data = json.dumps(whole(), ensure_ascii=False).encode()
    position %= len(data)
    damaged = data[:position] + bytes_put + data[position + bytes_lost :]
    try:
        spec = decode_spec(damaged)
        problems(spec)
    except Invalid:
        return
    assert json.loads(damaged) == decode(damaged)
