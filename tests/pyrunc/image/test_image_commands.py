"""`pyrunc image ...` on the store, as it is typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pyrunc.image.images import LOWER, NAMES, UPPER, Layout, tree
from tests.pyrunc.image.registries import passwords, registry

NAME = "docker.io/library/box:latest"


class Tool:
    def __init__(self, store: Path) -> None:
        self.store = store

    def __call__(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", "from pyrunc.cli import main; main()", "image", command]
        line += ["--store", str(self.store), *arguments]
        return subprocess.run(line, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})

    def out(self, command: str, *arguments: str) -> str:
        done = self(command, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path / "store")


@pytest.fixture
def source(tmp_path: Path) -> str:
    made = Layout(tmp_path / "source")
    made.image(LOWER, UPPER, name="box")
    return f"oci:{made.write()}:box"


def test_the_life_of_an_image(tool: Tool, source: str) -> None:
    """Pulled, listed, tagged, removed, collected; silent where nobody watches."""
    pulled = tool.out("pull", source).strip()
    assert pulled.startswith("sha256:")
    lines = tool.out("ls").splitlines()
    assert lines[0].split() == ["NAME", "DIGEST", "SIZE", "PLATFORMS"]
    assert lines[1].split()[0] == NAME and lines[1].endswith("kB  linux/amd64")
    assert tool.out("tag", "box", "two") == tool.out("rm", "box") == ""
    assert tool.out("ls", "--quiet") == "docker.io/library/two:latest\n"
    assert [one["digest"] for one in json.loads(tool.out("ls", "--json"))] == [pulled]
    tool.out("rm", "two")

    assert json.loads(tool.out("gc", "--json"))["files"] == 4
    assert tool.out("ls").splitlines() == ["NAME  DIGEST  SIZE  PLATFORMS"]


def test_inspect(tool: Tool, source: str) -> None:
    """What an image is, and that nobody has looked at its signatures."""
    tool.out("pull", source)
    found = json.loads(tool.out("inspect", "--json", "box"))

    assert (len(found["layers"]), found["config"]["os"], found["verified"]) == (2, "linux", "digests; no signatures")
    assert "no signatures" in tool.out("inspect", "box")


def test_push_and_unpack(tool: Tool, source: str, tmp_path: Path, root: None) -> None:
    """Out of the store by name: into an archive, into a bundle."""
    tool.out("pull", source)
    tool.out("push", "box", f"oci-archive:{tmp_path / 'archive'}:box")
    tool.out("unpack", "box", str(tmp_path / "bundle"))

    assert tree(tmp_path / "bundle") == NAMES
    assert json.loads(tool.out("copy", "--json", f"oci-archive:{tmp_path / 'archive'}", "again"))["name"] == "again"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rm", "box"), f"cannot find the image {NAME}"),
        (("tag", "box", "x"), f"cannot find the image {NAME}"),
        (("inspect", "box"), f"cannot find the image {NAME}"),
        (("pull", "containers-storage:box"), "images in containers-storage cannot be reached from here"),
        (("copy", "oci:/no/where", "box"), "cannot read the image layout /no/where"),
        (("push", "box", "Box://x"), "does not name an image"),
    ],
)
def test_errors(tool: Tool, arguments: tuple[str, ...], message: str) -> None:
    """One error, exit code 1, and no store is made for it."""
    done = tool(*arguments)

    assert done.returncode == 1
    assert message in done.stderr
    assert not tool.store.exists()


def test_registries_are_entered_by_every_command(tool: Tool, source: str, tmp_path: Path, root: None) -> None:
    """unpack, history and config take the password that pull takes; without it nothing is left."""
    file = passwords(tmp_path / "passwords", "me", "secret")
    with registry(tmp_path / "registry", auth={"htpasswd": {"realm": "x", "path": str(file)}}) as host:
        place, creds = f"docker://{host}/box:1", "--creds=me:secret"
        tool.out("copy", "--dest-creds=me:secret", source, place)
        refused = tool("unpack", f"--authfile={tmp_path / 'none'}", place, str(tmp_path / "bundle"))
        tool.out("unpack", creds, place, str(tmp_path / "bundle"))
        tool.out("config", creds, "--author=me", place)

        assert (refused.returncode, "there is no such file" in refused.stderr) == (1, True)
        assert tree(tmp_path / "bundle") == NAMES
        assert "pyrunc image config" in tool.out("history", creds, place)
