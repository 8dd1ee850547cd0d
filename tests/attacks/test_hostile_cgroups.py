"""A container that may make cgroups of its own gives them what names it likes: commands that look at all of them go
by what the kernel says, and neither trip nor print what a terminal would obey."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.system.box import Box

from .conftest import Bundle

NAMES = (b"\xff\xfe", b"a b", b"-rf", b"x\x1b[2J", b"nl\nnl", b"cgroup.procs ", b"..a", b"\\x2d", b"n" * 200)


def populated(box: Box) -> Box:
    """A running container with hostile cgroups below its own, wherever it has one."""
    box.up()
    lines = (Path(box.runtime.state) / box.id / "state").read_text().splitlines()
    for folder in [line.partition(" ")[2] for line in lines if line.startswith("cgroup ")]:
        for name in NAMES:
            try:
                os.mkdir(os.fsencode(folder) + b"/" + name)
            except OSError:
                assert b"\n" in name  # the kernel takes all others
    return box


@pytest.mark.timeout(60)
def test_attack_fails(bundle: Bundle) -> None:
    """events, top, ps, pause, update and delete do their work among them."""
    box = populated(bundle())

    for command in (("events", "--stats", box.id), ("top", "--json"), ("ps", box.id), ("list",)):
        done = box.runtime(*command)
        assert "\x1b" not in done.out + done.err
        assert done.ok, done
    assert json.loads(box.runtime("events", "--stats", box.id).out)["id"] == box.id
    for command in (("pause", box.id), ("resume", box.id), ("update", "--pids-limit", "100", box.id)):
        assert box.runtime(*command).ok, command
    assert box.delete("--force").ok
