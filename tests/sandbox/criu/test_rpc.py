"""CRIU's messages: bytes that protobuf would make, and what may come back."""

from __future__ import annotations

import pytest

from pyrunc.sandbox.criu.rpc import DUMP, NOTIFY, decode, encode


def test_bytes() -> None:
    """Numbers are varints, negative ones of ten bytes; texts and messages carry their length; lists repeat the
    field."""
    assert encode("req", {"type": DUMP}) == b"\x08\x01"
    assert encode("opts", {"pid": 300, "leave_running": True}) == b"\x10\xac\x02\x18\x01"
    assert encode("inherit_fd", {"key": "a", "fd": -1}) == b"\x0a\x01a\x10" + b"\xff" * 9 + b"\x01"
    assert encode("opts", {"external": ["x", "yz"]}) == b"\xaa\x02\x01x\xaa\x02\x02yz"
    assert encode("opts", {"ps": {"port": 1}}) == b"\x5a\x02\x10\x01"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resp", {"type": NOTIFY, "success": True, "notify": {"script": "post-restore", "pid": 7}}),
        ("resp", {"type": DUMP, "success": False, "cr_errno": -3, "cr_errmsg": "caf\udce9"}),
        ("opts", {"images_dir_fd": 1 << 40, "ext_mnt": [{"key": "/a", "val": "/b"}, {"key": "/c", "val": ""}]}),
    ],
)
def test_round_trip(name: str, message: dict[str, object]) -> None:
    """What is encoded is decoded again, negative numbers and bytes that are no UTF-8 included."""
    assert decode(name, encode(name, message)) == message


def test_unknown_fields() -> None:
    """A later CRIU may say more: fields of any wire type that are not in the table are passed over."""
    later = b"\xf8\x07\x05" + b"\xf9\x07" + bytes(8) + b"\xfa\x07\x02hi" + b"\xfd\x07" + bytes(4)

    assert decode("resp", later + b"\x08\x01") == {"type": DUMP}


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x08\xff", b"\x4a\x05ab", b"\x0b", b"\x4a" + b"\xff" * 11, b"\x0a\x01a", b"\x48\x01"]
)
def test_damaged(data: bytes) -> None:
    """Bytes that end too early, groups, and values of the wrong kind are told from messages."""
    with pytest.raises(ValueError):
        decode("resp", data)
