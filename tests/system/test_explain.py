"""`pyrunc explain` after real failures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .box import Box
from .conftest import Bundle

pytestmark = pytest.mark.only("pyrunc")


def explained(box: Box) -> dict[str, Any]:
    result = box.runtime("explain", "--json", box.id)
    assert result.ok, result
    found: dict[str, Any] = json.loads(result.out)
    return found


def test_mount(bundle: Bundle) -> None:
    """The step that failed is marked in the plan, with those around it, and the mount is shown."""
    box = bundle("true")
    box.mount("/data", "tmpfs", "tmpfs", "size=nonsense")

    assert not box.run().ok
    note = explained(box)

    assert note["command"] == "run"
    assert next(line for line in note["steps"] if line.startswith("> ")).split()[3:6] == ["mount", "tmpfs", "on"]
    assert json.loads(note["value"])["destination"] == "/data"
    assert len(note["steps"]) > 5


def test_program(bundle: Bundle) -> None:
    """A program that is not there is explained as well, for create and for exec."""
    box = bundle("nothing-like-it")
    assert not box.create().ok
    assert '"nothing-like-it"' in explained(box)["value"]

    box.up()
    assert not box.exec("nothing-else").ok
    assert explained(box)["command"] == "exec"
    assert "nothing-else" in explained(box)["message"]


def test_start(bundle: Bundle) -> None:
    """So is a start that failed after the front in C had begun it."""
    box = bundle()
    (box.rootfs / "bin/script").write_text("#!/no/such/interpreter\n")
    (box.rootfs / "bin/script").chmod(0o755)
    box.process["args"] = ["script"]

    assert box.create().ok
    assert not box.start().ok

    assert explained(box)["command"] == "start"
    assert "no such file" in explained(box)["message"]


def test_environment_is_secret(bundle: Bundle) -> None:
    """No value of the environment is in what is kept."""
    box = bundle("nothing-like-it")
    box.process["env"] += ["SECRET=xyzzy"]

    assert not box.run().ok

    assert "xyzzy" not in json.dumps(explained(box))
    assert "xyzzy" not in "".join(path.read_text() for path in box.runtime.state.iterdir() if path.is_file())
