"""`pyrunc doctor` as its callers see it."""

from __future__ import annotations

import json

from ..command import Pyrunc


def test_json(pyrunc: Pyrunc) -> None:
    """Every row has its name, result, and why it matters; where something is wrong there is a remedy."""
    done = pyrunc("doctor", "--json")
    rows = json.loads(done.out)

    assert {row["result"] for row in rows} <= {"ok", "limited", "missing"}
    assert all(row["why"] and row["found"] for row in rows)
    assert all((row["result"] == "ok") == (row["remedy"] == "") for row in rows)
    assert done.code == int(any(row["needed"] and row["result"] == "missing" for row in rows))


def test_text(pyrunc: Pyrunc) -> None:
    """The table has the same rows; with --all each says what it is for."""
    names = [row["name"] for row in json.loads(pyrunc("doctor", "--json").out)]
    lines = pyrunc("doctor", "--all").out.splitlines()

    assert [line[9:].split("  ")[0] for line in lines if line[0] != " "] == names
    assert len([line for line in lines if line.lstrip().startswith("for: ")]) == len(names)
