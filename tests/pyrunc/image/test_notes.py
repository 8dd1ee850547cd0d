"""The table of notes is a table, whether its rows are in memory or in a file."""

from __future__ import annotations

import os
import random

import pytest

from pyrunc.image import notes
from pyrunc.image.notes import Notes
from pyrunc.specs.errors import Failure


@pytest.mark.parametrize("kept", [0, 3, 1000])
def test_as_a_dictionary(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that are put in, put in again, taken out and looked for, at random, are those of a dictionary."""
    monkeypatch.setattr(notes, "KEPT", kept)
    chance = random.Random(1)
    table, expected = Notes(), dict[bytes, bytes]()
    for _ in range(2000):
        key, value = b"%d\0" % chance.randrange(40), b"%d" % chance.randrange(1000)
        if chance.random() < 0.6:
            table[key] = expected[key] = value
        else:
            table.discard(key)
            expected.pop(key, None)
        probe = b"%d\0" % chance.randrange(40)
        assert (probe in table) == (probe in expected)
    rows = list(table.by_value())
    table.close()

    assert dict(rows) == expected
    assert [value for _, value in rows] == sorted(expected.values(), reverse=True)


def opened() -> list[str]:
    """What the handles of this process lead to; the one that lists them has gone by then."""
    handles = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sorted(os.readlink(handle) for handle in handles if os.path.lexists(handle))


def test_no_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has no name, and goes when the table is closed."""
    monkeypatch.setattr(notes, "KEPT", 100)
    before = opened()
    table = Notes()
    for number in range(100_000):
        table[b"%08d" % number] = bytes(100)
    (new,) = set(opened()) - set(before)
    table.close()

    assert new.endswith("(deleted)")
    assert opened() == before


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence."""
    monkeypatch.setattr(notes, "KEPT", 10)
    table = Notes()
    for number in range(11):
        table[b"%d" % number] = b""
    assert table.file is not None
    table.file.execute("PRAGMA max_page_count = 5")

    with pytest.raises(Failure, match="cannot keep notes of a layer in a temporary file: database or disk is full"):
        for number in range(10_000):
            table[b"%d" % number] = bytes(100)
    table.close()
