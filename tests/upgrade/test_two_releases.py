"""Two releases side by side: a container that one has made is seen, entered and ended by the other.

An upgrade does not stop containers, so the present release has to know what an earlier one wrote. The other way round
it need not, but where the written form is the same it does: then a release can be taken back.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.system.box import Box
from tests.system.conftest import Bundle
from tests.system.runtime import Runtime

from .conftest import Commands

pytestmark = [pytest.mark.slow, pytest.mark.only("pyrunc")]
PAIRS = [("earlier", "present"), ("earlier", "present python"), ("present", "earlier")]
MORE = [("earlier python", "present"), ("present", "earlier python")]


def form(box: Box) -> str:
    """The first line of the state record: its kind and version."""
    return (box.runtime.state / box.id / "state").read_text().partition("\n")[0]


def case(pair: tuple[str, str]) -> ParameterSet:
    return pytest.param(pair, id="-then-".join(pair), marks=pytest.mark.soak if pair in MORE else ())


@pytest.fixture(params=[case(pair) for pair in PAIRS + MORE])
def pair(request: pytest.FixtureRequest, commands: Commands, bundle: Bundle) -> tuple[Runtime, Runtime]:
    """(who makes the container, who sees to it afterwards)."""
    maker, other = request.param
    if maker.startswith("present"):
        forms = []
        for words in (maker, other):
            box = bundle("true")
            box.runtime = commands(words)
            assert box.create().ok
            forms.append(form(box))
            assert box.delete().ok
        if forms[0] != forms[1]:
            pytest.skip(f"the present release writes {forms[0]}, the earlier one {forms[1]}")
    return commands(maker), commands(other)


def made_by(runtime: Runtime, bundle: Bundle) -> Box:
    box = bundle()
    box.runtime = runtime
    box.linux["resources"]["pids"] = {"limit": 50}
    box.config["annotations"] = {"key": "väl ue\n"}
    box.sh("trap 'echo stopping; exit 3' TERM; echo up; while :; do sleep 0.05; done")
    return box


def test_created(bundle: Bundle, pair: tuple[Runtime, Runtime]) -> None:
    """A created container is shown, started, signalled and deleted."""
    maker, other = pair
    box = made_by(maker, bundle)
    assert box.create().ok
    seen = box.state()

    box.runtime = other
    assert box.state() == seen
    result = box.start()
    assert result.ok, result
    box.wait_for("up")
    assert box.status == "running"
    assert box.kill("TERM").ok
    box.wait_for("stopping")
    box.wait("stopped")
    result = box.delete()
    assert result.ok, result


def test_deleted_before_its_start(bundle: Bundle, pair: tuple[Runtime, Runtime]) -> None:
    """A created container that is not wanted any more is deleted, and nothing of it is left."""
    maker, other = pair
    box = made_by(maker, bundle)
    assert box.create().ok

    box.runtime = other
    result = box.delete()
    assert result.ok, result
    assert box.runtime("state", box.id).status == 1


def test_running(bundle: Bundle, pair: tuple[Runtime, Runtime]) -> None:
    """A running container is listed, entered, paused, limited and ended by force."""
    maker, other = pair
    box = made_by(maker, bundle)
    assert box.run_detached().ok
    box.wait_for("up")
    seen = box.state()

    box.runtime = other
    assert box.state() == seen
    (listed,) = [item for item in json.loads(box.runtime("list", "--format", "json").out) if item["id"] == box.id]
    assert (listed["status"], listed["pid"]) == ("running", seen["pid"])
    assert box.exec("sh", "-c", "exit 7").status == 7
    if Path("/sys/fs/cgroup").is_mount():
        assert box.runtime("pause", box.id).ok
        assert box.status == "paused"
        assert box.runtime("resume", box.id).ok
        assert box.runtime("update", "--pids-limit", "60", box.id).ok
    result = box.delete("--force")
    assert result.ok, result


def test_hooks(bundle: Bundle, pair: tuple[Runtime, Runtime]) -> None:
    """Hooks that the document names for the end are run by whoever deletes the container."""
    maker, other = pair
    box = made_by(maker, bundle)
    log = box.folder / "log"
    box.config["hooks"] = {"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {log}"]}]}
    assert box.run_detached().ok

    box.runtime = other
    assert box.delete("--force").ok
    assert json.loads(log.read_text())["status"] == "stopped"
