"""Logs that are no files."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrunc.cli.sinks import open_sink
from pyrunc.specs.errors import Failure, PyruncError

from ..command import Pyrunc


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "socket"))
        server.settimeout(5)
        yield server


def test_journal(server: socket.socket) -> None:
    """The journal gets level, name and message, newlines and all, as its own protocol has them."""
    open_sink("journald", "box", journal=server.getsockname())("error", "one\ntwo")

    fields, _, rest = server.recv(4096).partition(b"MESSAGE\n")
    assert fields.decode().splitlines() == ["PRIORITY=3", "SYSLOG_IDENTIFIER=box", f"SYSLOG_PID={os.getpid()}"]
    assert rest == len("one\ntwo").to_bytes(8, "little") + b"one\ntwo\n"


def test_syslog(server: socket.socket) -> None:
    """syslog gets facility user with the level, and the name with our pid."""
    open_sink("syslog", "box", syslog=server.getsockname())("warning", "odd")

    assert re.fullmatch(rf"<12>\w{{3}} [ \d]\d [\d:]{{8}} box\[{os.getpid()}\]: odd", server.recv(4096).decode())


@pytest.mark.parametrize("kind", ["journald", "syslog"])
def test_nobody(kind: str, tmp_path: Path) -> None:
    """A log that nobody reads is an error, and so is one without a name."""
    nothing = str(tmp_path / "nothing")

    with pytest.raises(Failure, match="cannot open the log .*ENOENT"):
        open_sink(kind, "box", journal=nothing, syslog=nothing)
    with pytest.raises(PyruncError, match="needs a name"):
        open_sink(kind, "")


def test_file(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """`file:` before a path is the path."""
    done = pyrunc("ps", "box", globals=("--log", f"file:{tmp_path}/log"))

    assert (done.code, done.err) == (1, "container does not exist\n")
    assert "level=error" in (tmp_path / "log").read_text()


def test_level(pyrunc: Pyrunc) -> None:
    """--log-level is one of three."""
    assert "invalid log-level: loud" in pyrunc("list", globals=("--log-level", "loud")).err
    pyrunc.root.mkdir()
    for level in ("error", "warning", "debug"):
        assert pyrunc("list", globals=("--log-level", level)).code == 0
