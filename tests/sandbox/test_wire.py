"""Plans as bytes."""

from __future__ import annotations

import struct

import pytest

from pyrunc.sandbox.operations import OPERATIONS, fields
from pyrunc.sandbox.plan import host, op, sync
from pyrunc.sandbox.wire import encode, slot_names


def decoded(data: bytes) -> list[tuple[int, int, int, list[int], list[tuple[int, bytes]]]]:
    """An independent reader of the format in docs/architecture.md."""
    magic, version, count, _, total, zero = struct.unpack_from("<8sIIIIQ", data)
    assert (magic, version, total, zero) == (b"PYRUNCPL", 1, len(data), 0)
    offset = 32
    found = []
    for _ in range(count):
        code, phase, numbers, texts, zero, tolerances = struct.unpack_from("<HBBBBH", data, offset)
        offset += 8
        values = list(struct.unpack_from(f"<{numbers}Q", data, offset))
        offset += 8 * numbers
        blobs = []
        for _ in range(texts):
            length, items = struct.unpack_from("<II", data, offset)
            blobs.append((items, data[offset + 8 : offset + 8 + length]))
            offset += 8 + length + -length % 8
        found.append((code, phase, tolerances, values, blobs))
    assert offset == len(data)
    return found


def test_numbers_texts_lists_and_bytes_arrive():
    """Every kind of field is read back as it was written, in the order of the table."""
    plan = [
        op("user", "", 1000, 1000, 1, ["4", "24"]),
        op("seccomp", "", 2, b"\1\2\3", phase="seal"),
        op("hostname", "", "box"),
    ]

    found = decoded(encode(plan, []))

    assert found[0][3:] == ([1000, 1000, 1], [(2, b"4\x0024\x00")])
    assert found[1][3:] == ([2], [(0, b"\1\2\3")])
    assert found[2][3:] == ([], [(1, b"box\0")])


def test_negative_numbers_are_twos_complement():
    """An oom_score_adj of -1000 survives."""
    assert decoded(encode([op("oom_score_adj", "", -1000)], []))[0][3] == [2**64 - 1000]


def test_slots_are_numbered_host_first_and_none_is_minus_one():
    """Slots that the host fills come first, whatever the order of use."""
    init = [
        op("open_null", "", "null"),
        op("spawn", "", 0, "cgroup"),
        op("mask", "", "null", "/proc/kcore"),
        sync("ready", "", "start"),
    ]
    names = slot_names([host("open_cgroup", "", "cgroup", "/sys/fs/cgroup/box")], init)

    found = decoded(encode(init, names))

    assert names == ["cgroup", "null"]
    assert [item[3] for item in found] == [[1], [0, 0], [1], [5, 2**64 - 1]]


def test_tolerances_travel_as_bits():
    """A tolerance named in the plan is on the wire."""
    assert decoded(encode([op("mask", "", "", "/x", tolerate="missing_ok denied_ok")], []))[0][2] == 1 | 8


def test_a_nul_inside_a_text_is_refused():
    """A NUL would end the text early on the other side."""
    with pytest.raises(ValueError, match="NUL"):
        encode([op("hostname", "", "a\0b")], [])


def test_texts_that_are_no_utf8_survive():
    """A file name is bytes: what came in by surrogateescape goes out as it was."""
    assert decoded(encode([op("hostname", "", "\udcff")], []))[0][4] == [(1, b"\xff\0")]


def test_codes_are_unique_and_every_field_has_a_known_kind():
    """Two operations never share a code, and the table speaks only of kinds that the format has."""
    codes = [entry[0] for entry in OPERATIONS.values()]

    assert len(set(codes)) == len(codes)
    assert {kind for name in OPERATIONS for kind, _ in fields(name)} <= set("uiosbl")
