"""The commands for bundles that are not run: spec, validate, plan; and features."""

from __future__ import annotations

import json
from pathlib import Path

from pyrunc.version import VERSION

from ..command import Pyrunc

# What a box needs besides its defaults.
DOCUMENT = {
    "ociVersion": "1.3.0",
    "root": {"path": "rootfs"},
    "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["SECRET=xyzzy"]},
    "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
}


def test_spec(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """spec writes a document indented by tabs that validate accepts, and never over another."""
    done = pyrunc("spec")
    text = (tmp_path / "config.json").read_text()
    document = json.loads(text)

    assert (done.code, done.out, done.err) == (0, "", "")
    assert text.startswith('{\n\t"ociVersion": "1.3.0",\n\t')
    assert (document["process"]["args"], document["root"]["readonly"]) == (["sh"], True)
    assert pyrunc("spec").says("File config.json exists. Remove it first")
    assert (tmp_path / "config.json").read_text() == text


def test_spec_elsewhere(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """--bundle names the folder, --rootless asks for a user namespace."""
    (tmp_path / "b").mkdir()
    assert pyrunc("spec", "--bundle", "b", "--rootless").code == 0
    document = json.loads((tmp_path / "b" / "config.json").read_text())

    assert "user" in [namespace["type"] for namespace in document["linux"]["namespaces"]]
    assert pyrunc("spec", "-b", "nowhere").says("cannot write nowhere/config.json: ENOENT: no such file or directory")


def test_validate(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """validate is silent about a good document, and names every problem of a bad one by its place."""
    pyrunc("spec")
    good = pyrunc("validate")
    assert (good.code, good.out, good.err) == (0, "", "")
    document = json.loads((tmp_path / "config.json").read_text())
    document["process"]["cwd"] = "relative"
    namespaces = document["linux"]["namespaces"]
    namespaces.append({"type": "pid"})
    (tmp_path / "bad.json").write_text(json.dumps(document))
    bad = pyrunc("validate", "bad.json")

    assert bad.code == 1
    assert [line.partition(":")[0] for line in bad.out.splitlines()] == [
        "process.cwd",
        f"linux.namespaces[{len(namespaces) - 1}]",
    ]


def test_validate_the_shape(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """What the fast decoder would stop at first, validate shows all of."""
    (tmp_path / "config.json").write_text('{"ociVersion": 1, "root": {"path": []}, "mounts": [{}]}')
    done = pyrunc("validate", ".")

    assert done.code == 1
    assert {line.partition(":")[0] for line in done.out.splitlines()} >= {
        "ociVersion",
        "root.path",
        "mounts[0].destination",
    }


def test_validate_nothing(pyrunc: Pyrunc) -> None:
    """No document to look at is an error."""
    assert pyrunc("validate").says("JSON specification file config.json not found")


def test_features(pyrunc: Pyrunc) -> None:
    """features is JSON indented by four spaces, with the members that engines look at."""
    done = pyrunc("features")
    features = json.loads(done.out)

    assert (done.code, done.err) == (0, "")
    assert done.out.startswith('{\n    "ociVersionMin": "1.0.0",\n')
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] in (True, False)
    assert features["annotations"]["io.pyrunc.version"] == VERSION
    assert features["annotations"]["org.opencontainers.runc.checkpoint.enabled"] == "true"


def test_plan(pyrunc: Pyrunc, tmp_path: Path) -> None:
    """plan shows the steps, as text or as JSON, changes nothing, and keeps the values of the environment to itself."""
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(DOCUMENT))
    done = pyrunc("plan")
    assert done.code == 0
    assert "pivot_root" in done.out or "pivot" in done.out
    assert "SECRET" in done.out
    assert "xyzzy" not in done.out
    assert "xyzzy" in pyrunc("plan", "--show-env", "box").out

    plan = json.loads(pyrunc("plan", "--json").out)
    assert plan["init"][-1]["operation"] == "exec"
    assert plan["init"][-1]["pointer"].startswith("process")
    assert "xyzzy" not in json.dumps(plan)
    assert not pyrunc.root.exists()
