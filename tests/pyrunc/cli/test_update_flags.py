"""`pyrunc update` as its callers see it: sizes, flags, what cannot be understood."""

from __future__ import annotations

import pytest

from ..command import Pyrunc
from ..conftest import Keep


@pytest.mark.parametrize(
    ("text", "bytes"),
    [
        ("0", 0),
        ("1024", 1024),
        ("-1", -1),
        ("512m", 512 << 20),
        ("1G", 1 << 30),
        ("2kb", 2048),
        ("1.5MiB", 3 << 19),
        ("7b", 7),
    ],
)
def test_sizes(text: str, bytes: int) -> None:
    """Sizes are those of Docker and runc: by 1024, letters in any case."""
    from pyrunc.cli.update import size

    assert size("memory", text) == bytes


@pytest.mark.parametrize("text", ["m", "xx", "-2", "1x", "1 m", "1..5m", "0x10", "٣"])
def test_bad_sizes(pyrunc: Pyrunc, text: str) -> None:
    """What is no size is refused in runc's words."""
    assert pyrunc("update", f"--memory={text}", "box").says(f"invalid value for memory: invalid size: '{text}'")


def test_flags_of_update() -> None:
    """Each flag lands where linux.resources has it; what was not given is not there."""
    from pyrunc.cli.options import parse
    from pyrunc.cli.update import COMMAND, from_flags

    line = [
        "--memory=1m",
        "--memory-swap",
        "-1",
        "--cpu-quota=-1",
        "--cpuset-cpus",
        "0-1",
        "--pids-limit=0",
        "--blkio-weight=10",
    ]
    assert from_flags(parse(COMMAND.flags, line)) == {
        "memory": {"limit": 1 << 20, "swap": -1},
        "cpu": {"quota": -1, "cpus": "0-1"},
        "pids": {"limit": 0},
        "blockIO": {"weight": 10},
    }


def test_update_errors(pyrunc: Pyrunc, keep: Keep) -> None:
    """Limits that cannot be understood or kept are errors that name them."""
    keep("box", pid=1, start=1)
    assert pyrunc("update", "--cpu-share", "x", "box").says('invalid value for cpu-share: "x" is no number')
    assert pyrunc("update", "-r", "/nowhere", "box").says("cannot read /nowhere: ENOENT: no such file or directory")
    assert pyrunc("update", "--pids-limit", "1", "box").says("container not running")
    assert pyrunc("update", "-r", "-", "box", stdin="[]").says("-: an object with resources is needed")
    assert pyrunc("update", "-r", "-", "box", stdin='{"pids": {"limit": 1}}').says("container not running")
