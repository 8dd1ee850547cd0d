"""The records that engines read."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunc.cli.log import Log, go_quote
from pyrunc.specs.errors import PyruncError

from ..command import Pyrunc
from ..conftest import Keep

MISSING = "container does not exist"


def test_text_on_stderr(pyrunc: Pyrunc) -> None:
    """Without --log an error is one record on standard error, and nothing goes to standard output."""
    done = pyrunc("state", "box")
    time, _, rest = done.err.removeprefix('time="').partition('"')

    assert (done.code, done.out, rest) == (1, "", f' level=error msg="{MISSING}"\n')
    assert recent(time)


def test_log_file(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """With --log the record goes there, behind what is there, and the message alone to standard error."""
    log = tmp_path / "log"
    log.write_text("before\n")
    done = pyrunc("state", "box", globals=("--log", str(log)))
    before, record, end = log.read_text().split("\n")

    assert (done.code, done.out, done.err) == (1, "", f"{MISSING}\n")
    assert (before, end) == ("before", "")
    assert record.endswith(f'level=error msg="{MISSING}"')


def test_json(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """A JSON log is one object with the three members that containerd wants, and a hint is no part of it."""
    log = tmp_path / "log.json"
    done = pyrunc("kill", "box", globals=("--log", str(log), "--log-format", "json"))
    record = json.loads(log.read_text())

    assert done.err == f"{MISSING}\n"
    assert list(record) == ["level", "msg", "time"]
    assert (record["level"], record["msg"]) == ("error", MISSING)
    assert recent(record["time"])
    assert log.stat().st_mode & 0o777 == 0o644 & ~umask()


def test_json_on_stderr(pyrunc: Pyrunc) -> None:
    """Without a file the JSON record has standard error to itself."""
    done = pyrunc("state", "a b", globals=("--log-format=json",))

    assert json.loads(done.err)["msg"] == "invalid container ID format"


def test_hint(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """A person gets a hint below the record, a log never."""
    assert pyrunc("state", "a b").err.splitlines()[1].startswith("  hint: ")

    log = tmp_path / "log"
    done = pyrunc("state", "a b", globals=("--log", str(log)))
    assert "hint" not in done.err + log.read_text()


def test_silent_on_success(pyrunc: Pyrunc, keep: Keep, tmp_path: Path) -> None:
    """What succeeds writes nothing to the log, not even of what was passed over: conmon wants one object at most."""
    keep("box", pid=1, start=1)
    os.mkdir(pyrunc.root / "broken")
    log = tmp_path / "log"
    done = pyrunc("list", globals=("--log", str(log), "--log-format", "json"))

    assert (done.code, done.err, log.read_text()) == (0, "", "")


def test_warnings(pyrunc: Pyrunc, keep: Keep, tmp_path: Path) -> None:
    """Who reads texts, or debugs, sees warnings; the exit code stays 0."""
    keep("box", pid=1, start=1)
    os.mkdir(pyrunc.root / "broken")
    done = pyrunc("list")
    assert done.code == 0
    assert 'level=warning msg="cannot list container broken: container does not exist"' in done.err

    log = tmp_path / "log"
    pyrunc("list", globals=("--debug", "--log", str(log), "--log-format", "json"))
    assert json.loads(log.read_text())["level"] == "warning"


def test_bad_log(pyrunc: Pyrunc) -> None:
    """A log that cannot be opened, or in a form that nobody knows, is an error before anything is done."""
    assert pyrunc("list", globals=("--log-format", "xml")).says("invalid log-format: xml")
    done = pyrunc("delete", "-f", "box", globals=("--log", "/nowhere/log"))
    assert done.says("cannot open the log /nowhere/log: ENOENT: no such file or directory")


def test_internal_error(pyrunc: Pyrunc) -> None:
    """What nobody expected is a record like any other, without a traceback unless --debug asks for it."""
    line = ("--report-start", "box", "no number", "1", "1", "")
    done = pyrunc(*line)
    assert done.code == 1
    assert 'msg="internal error: ValueError: ' in done.err
    assert "Traceback" not in done.err

    assert "Traceback" in pyrunc(*line, globals=("--debug",)).err


def test_format_is_checked_first() -> None:
    """A wrong form does not leave a file behind."""
    with pytest.raises(PyruncError):
        Log("/nowhere/log", "xml")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ('a "b" \\c', r'"a \"b\" \\c"'),
        ("\a\b\f\n\r\t\v\0\x1b\x7f", r'"\a\b\f\n\r\t\v\x00\x1b\x7f"'),
        ("grün 🐍 ", '"grün 🐍 "'),
        ("\u200b\u2028\U000e0001\xa0", r'"\u200b\u2028\U000e0001\u00a0"'),
        ("\udcff", r'"\xff"'),
    ],
)
def test_go_quote(text: str, quoted: str) -> None:
    """Texts are quoted as by Go's strconv.Quote (expectations taken from its documentation and tests)."""
    assert go_quote(text) == quoted


@given(st.text())
def test_one_line(text: str) -> None:
    """Whatever a message holds, its record is one line, and nothing in it ends the quotes early."""
    quoted = go_quote(text)

    assert quoted.isprintable()
    assert quoted[1:-1].replace("\\\\", "").replace('\\"', "").find('"') == -1


def recent(time: str) -> bool:
    """Whether it is RFC 3339 without a fraction, and now."""
    assert len(time) == len("2026-01-01T00:00:00Z")
    return abs((datetime.datetime.fromisoformat(time) - datetime.datetime.now(datetime.UTC)).total_seconds()) < 60


def umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before
