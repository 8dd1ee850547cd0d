"""`events`: statistics and news of a container, as programs read them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import termios
import time
from typing import Any

import pytest

from .box import Box
from .conftest import Bundle
from .test_cgroups import folder_of

pytestmark = pytest.mark.only("pyrunc", "runc")


class Reader:
    """`events` of a box, running."""

    def __init__(self, box: Box, *flags: str) -> None:
        self.process = box.runtime.spawn("events", *flags, box.id)

    def next(self, seconds: float = 10) -> dict[str, Any]:
        """The next record."""
        assert self.process.stdout
        assert select.select([self.process.stdout], [], [], seconds)[0], "no record came"
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return json.loads(line)  # type: ignore[no-any-return]

    def end(self) -> tuple[str, str]:
        """What is still written until the command ends by itself."""
        out, err = self.process.communicate(timeout=15)
        assert self.process.returncode == 0, err
        return out, err


def test_stats(bundle: Bundle) -> None:
    """`--stats` prints one record with the usage, in runc's form, and ends."""
    box = bundle()
    folder_of(box, "pids")
    box.linux["resources"]["pids"] = {"limit": 20}
    box.up()
    result = box.runtime("events", "--stats", box.id)

    assert result.ok, result
    assert result.out.startswith(f'{{"type":"stats","id":"{box.id}","data":{{"cpu":{{"usage":{{')
    assert result.out.count("\n") == 1
    data = json.loads(result.out)["data"]
    assert list(data) == [
        "cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces",
    ]  # fmt: skip
    assert data["pids"] == {"current": 1, "limit": 20}
    assert data["cpu"]["usage"]["total"] > 0
    assert data["intel_rdt"] == {}
    assert data["network_interfaces"] is None


def test_usage_grows(bundle: Bundle) -> None:
    """CPU time is counted in nanoseconds and memory in bytes."""
    box = bundle()
    folder_of(box, "memory")
    box.linux["resources"]["cpu"] = {"quota": 10000, "period": 100000}
    box.up("(head -c 8m /dev/zero; sleep 60) | tail -c 8m & while :; do :; done")
    reader = Reader(box, "--interval", "200ms")
    first = last = reader.next()["data"]
    end = time.monotonic() + 15
    while time.monotonic() < end and last["memory"]["usage"]["usage"] <= 8 << 20:
        last = reader.next()["data"]
    last = reader.next()["data"]
    box.delete("--force")
    reader.end()

    assert last["cpu"]["usage"]["total"] > first["cpu"]["usage"]["total"] > 1_000_000
    assert last["memory"]["usage"]["usage"] > 8 << 20
    assert last["memory"]["raw"]


@pytest.mark.parametrize("interval", ["100ms", "0.1s", "1us"])
def test_interval_and_end(bundle: Bundle, interval: str) -> None:
    """Records come at intervals until the container is gone, then the command ends by itself without an error."""
    box = bundle().up()
    reader = Reader(box, "--interval", interval)
    for _ in range(3):
        assert reader.next()["type"] == "stats"
    box.delete("--force")

    _, err = reader.end()
    assert box.runtime.kind != "pyrunc" or err == ""


def test_memory_runs_out(bundle: Bundle) -> None:
    """A process that is killed for want of memory is news, though no interval is over."""
    box = bundle()
    folder_of(box, "memory")
    box.linux["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    box.up()
    reader = Reader(box, "--interval", "1h")
    # Told from its first moment on, which nobody announces; so it is caused until it is seen.
    for _ in range(20):
        box.exec("sh", "-c", "head -c 64m /dev/zero | tail -c 64m > /dev/null")
        assert reader.process.stdout
        if select.select([reader.process.stdout], [], [], 0.5)[0]:
            break
    assert reader.next() == {"type": "oom", "id": box.id}
    box.delete("--force")
    reader.end()


def test_reader_goes(bundle: Bundle) -> None:
    """When nobody reads any more, the command ends."""
    box = bundle().up()
    reader = Reader(box, "--interval", "50ms")
    reader.next()
    assert reader.process.stdout
    reader.process.stdout.close()

    try:
        reader.process.wait(10)
    except subprocess.TimeoutExpired:
        reader.process.kill()
        pytest.fail("it goes on for nobody")


def test_stopped(bundle: Bundle) -> None:
    """Of a container that has ended nothing is told; the text is runc's."""
    box = bundle().up()
    box.kill("KILL")
    box.wait()
    for flags in ((), ("--stats",)):
        result = box.runtime("events", *flags, box.id)

        assert not result.ok
        assert f"container with id {box.id} is not running" in result.err


@pytest.mark.parametrize(
    ("interval", "said"),
    [("0", "duration interval must be greater than 0"), ("-1s", "duration interval must be greater than 0"),
     ("5", "parse error"), ("five", "parse error"), ("", "parse error"), ("1s1", "parse error")],
)  # fmt: skip
def test_bad_interval(bundle: Bundle, interval: str, said: str) -> None:
    """An interval that is none is refused before anything else is done."""
    box = bundle().up()
    result = box.runtime("events", "--interval", interval, box.id)

    assert not result.ok
    assert said in result.out + result.err


@pytest.mark.only("pyrunc")
def test_top(bundle: Bundle) -> None:
    """`top` shows a container that computes with its CPU time, its memory and its processes."""
    box = bundle()
    folder_of(box, "cpu")
    box.linux["resources"]["cpu"] = {"quota": 20000, "period": 100000}
    box.up("while :; do :; done")
    result = box.runtime("top", "--json", "--interval", "1s")
    assert result.ok, result
    (row,) = [row for row in json.loads(result.out) if row["id"] == box.id]

    assert row["status"] == "running"
    assert 2 < row["cpu"] < 60
    assert row["pids"] == 1
    assert row["memory"] > 0


@pytest.mark.only("pyrunc")
def test_top_on_a_terminal(bundle: Bundle) -> None:
    """On a terminal the table stays and is refreshed until q is pressed; then the terminal is as before."""
    box = bundle().up()
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(box.runtime.argv("top", "--interval", "100ms"), stdin=slave, stdout=slave, stderr=slave)
    shown = b""

    def until(words: bytes, times: int = 1) -> None:
        nonlocal shown
        end = time.monotonic() + 15
        while shown.count(words) < times:
            assert time.monotonic() < end and select.select([master], [], [], 10)[0], shown
            shown += os.read(master, 65536)

    try:
        until(b"containers, ", times=3)
        os.write(master, b"m")
        until(b"by memory")
        os.write(master, b"q")
        until(b"\033[?1049l")
        assert process.wait(10) == 0
        assert box.id.encode() in shown
        assert shown.startswith(b"\033[?1049h")
        assert termios.tcgetattr(slave) == before
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
