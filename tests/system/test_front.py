"""The installed command answers some commands without Python. Nobody can tell which: both ways behave the same."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .box import Box
from .conftest import Bundle
from .runtime import Result, Runtime

pytestmark = pytest.mark.only("pyrunc")

Act = Callable[[Box], Result]


def when_stopped(act: Act) -> Act:
    def wait_and_act(box: Box) -> Result:
        box.wait("stopped")
        return act(box)

    return wait_and_act


LIFE: dict[str, list[Act]] = {
    "to the end": [
        lambda box: box.create(),
        lambda box: box.runtime("state", box.id),
        lambda box: box.start(),
        lambda box: box.runtime("state", box.id),
        lambda box: box.start(),
        lambda box: box.delete(),
        lambda box: box.kill("USR1"),
        lambda box: box.kill("no-signal"),
        lambda box: box.kill("KILL"),
        when_stopped(lambda box: box.kill()),
        lambda box: box.start(),
        lambda box: box.runtime("state", box.id),
        lambda box: box.delete(),
        lambda box: box.delete(),
        lambda box: box.delete("--force"),
    ],
    "deleted while created": [
        lambda box: box.create(),
        lambda box: box.delete(),
        lambda box: box.runtime("state", box.id),
    ],
    "deleted by force": [lambda box: box.run_detached(), lambda box: box.delete("-force"), lambda box: box.kill("9")],
    "paused": [
        lambda box: box.run_detached(),
        lambda box: box.runtime("pause", box.id),
        lambda box: box.runtime("state", box.id),
        lambda box: box.start(),
        lambda box: box.delete(),
        lambda box: box.kill("SIGKILL"),
        when_stopped(lambda box: box.delete()),
    ],
    "wrong command lines": [
        lambda box: box.runtime("state"),
        lambda box: box.runtime("state", ""),
        lambda box: box.runtime("state", "../x"),
        lambda box: box.runtime("state", "--surprise", box.id),
        lambda box: box.runtime("kill", box.id, "KILL", "more"),
        lambda box: box.runtime("start", "--", box.id),
        lambda box: box.runtime("delete", "--force=maybe", box.id),
        lambda box: box.runtime("--version"),
        lambda box: box.runtime("--log-format", "json", "state", box.id),
        lambda box: box.runtime("--debug=false", "state", box.id),
    ],
}


def comparable(result: Result, box: Box) -> tuple[int, str, str]:
    """A result without what differs from one container, and from one second, to the next."""
    texts = []
    for text in (result.out, result.err):
        text = text.replace(box.id, "ID").replace(str(box.runtime.state), "STATE")
        text = re.sub(r'"(pid|created)": ?("[^"]*"|[1-9]\d*)', r'"\1": X', text)
        texts.append(re.sub(r'(time="|"time":")[^"]*"', r'\1"', text))
    return result.status, texts[0], texts[1]


@pytest.fixture
def slow(runtime: Runtime) -> Runtime:
    """The same program without its front."""
    return Runtime(f"{sys.executable} -m pyrunc", runtime.state)


@pytest.mark.parametrize("life", LIFE)
def test_same(bundle: Bundle, slow: Runtime, life: str) -> None:
    """Exit codes, texts and states are the same with the front and without it."""
    boxes = [bundle().sh("trap : USR1; while :; do usleep 20000; done") for _ in range(2)]
    boxes[1].runtime = slow

    for act in LIFE[life]:
        front, python = (comparable(act(box), box) for box in boxes)
        assert front == python


def test_mixed(bundle: Bundle, slow: Runtime) -> None:
    """Each of the two can go on with a container that the other one made."""
    box = bundle().sh("sleep 1000")
    fast = box.runtime

    assert box.create().ok
    box.runtime = slow
    assert box.start().ok
    box.runtime = fast
    assert box.kill("KILL").ok
    box.runtime = slow
    box.wait("stopped")
    assert box.delete().ok


def test_unknown_keys_in_state(bundle: Bundle) -> None:
    """A key in the state file that this version does not know is passed over."""
    box = bundle().up()
    file = box.runtime.state / box.id / "state"
    file.write_text(file.read_text() + "surprise 1\n")

    assert box.status == "running"
    assert box.delete("--force").ok


@pytest.mark.parametrize("text", ["", "pyrunc-state 999\n", "pyrunc-state 1\n", "\0\0\0\0", 'pyrunc-state 1\nid "'])
def test_broken_state(bundle: Bundle, text: str) -> None:
    """A state file that cannot be read is an error, not a crash, and `delete --force` still works."""
    box = bundle().sh("sleep 1000")
    assert box.create().ok
    file = box.runtime.state / box.id / "state"
    whole = file.read_text()
    file.write_text(text)

    result = box.runtime("state", box.id)
    file.write_text(whole)

    assert result.status == 1
    assert "Traceback" not in result.err
    assert box.delete("--force").ok


def test_list_sees_all(bundle: Bundle, slow: Runtime) -> None:
    """`list` and `state` tell the same of every container."""
    box = bundle().up()

    row = next(row for row in json.loads(slow("list", "-f", "json").out) if row["id"] == box.id)

    state = box.state()
    assert {key: row[key] for key in ("id", "pid", "status", "bundle", "created")} == {
        key: state[key] for key in ("id", "pid", "status", "bundle", "created")
    }


def test_no_stray_files(bundle: Bundle, folder: Path) -> None:
    """A whole life leaves nothing in the bundle but what it had."""
    box = bundle("true")
    before = sorted(path.name for path in box.folder.iterdir())

    assert box.run().ok

    assert sorted(path.name for path in box.folder.iterdir()) == sorted([*before, "config.json"])
