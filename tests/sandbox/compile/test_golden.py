"""Whole plans: every document in tests/golden, compiled for a host with cgroup v2 and for one with v1, as text.

`REGENERATE_GOLDEN=1 pytest tests/sandbox/compile` writes the texts anew; the change is then to be read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout, Unified
from pyrunc.sandbox.check import problems
from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.sandbox.describe import lines
from pyrunc.sandbox.facts import Facts
from pyrunc.sandbox.plan import Plan
from pyrunc.sandbox.wire import encode
from pyrunc.specs.rules import check
from pyrunc.specs.runtime import decode_spec

GOLDEN = Path(__file__).parents[2] / "golden"
DOCUMENTS = sorted(GOLDEN.glob("*.json"))
MOUNT = "/sys/fs/cgroup"


def v1() -> Layout:
    """A host with three hierarchies, two controllers on one of them."""
    sets: list[tuple[str, ...]] = [("cpu", "cpuacct"), ("memory",), ("pids",), ("devices",), ("cpuset",), ("freezer",)]
    return Layout(tuple(Hierarchy(names, f"{MOUNT}/{','.join(names)}", "/") for names in sets), None)


def v2() -> Layout:
    """A host with cgroup v2 alone."""
    controllers = ("cpuset", "cpu", "io", "memory", "pids")
    return Layout((), Unified(controllers, MOUNT, "/", enabled=controllers))


def compiled(document: Path, layout: Layout) -> Plan:
    spec = decode_spec(document.read_bytes())
    check(spec)
    annotations = spec.annotations
    flags = 8 if spec.linux.seccomp and spec.linux.seccomp.listener_path else 0
    seccomp = (flags, b"\x06\0\0\0\0\0\xff\x7f") if spec.linux.seccomp else None
    rootless = "test.rootless" in annotations
    facts = Facts(
        layout, euid=1000 if rootless else 0, egid=1000 if rootless else 0, has_helpers="test.helpers" in annotations
    )
    systemd = "test.systemd" in annotations
    facts.manager = ("user", "/user.slice/me.service") if systemd and rootless else ("system", "") if systemd else None
    start = "inline" if "test.run" in annotations else "socket"
    no_pivot = "test.no-pivot" in annotations
    kept = int(annotations.get("test.fds", "0"))
    manager = "systemd" if systemd else "cgroupfs"
    request = Request(
        "box", "/bundle", "/bundle/rootfs", start, no_pivot, kept_fds=kept, seccomp=seccomp, cgroup_manager=manager
    )
    return compile_create(spec, facts, request)


@pytest.mark.parametrize("layout", [v1, v2], ids=["v1", "v2"])
@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.stem for path in DOCUMENTS])
def test_plan(document: Path, layout) -> None:  # type: ignore[no-untyped-def]
    """The plan of a document is sound, can be encoded, and is what it was when it was last read."""
    plan = compiled(document, layout())
    golden = document.with_suffix(f".{layout.__name__}.plan")
    text = "\n".join([*lines(plan), *(f"warning: {warning}" for warning in plan.warnings)]) + "\n"

    assert problems(plan) == []
    assert encode(plan.init, plan.slots())
    if os.environ.get("REGENERATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_there_are_documents() -> None:
    """The folder is found."""
    assert len(DOCUMENTS) >= 8


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Values of environment variables are shown only on request."""
    document = json.loads((GOLDEN / "default.json").read_text())
    document["process"]["env"] = ["TOKEN=swordfish"]
    path = tmp_path / "secret.json"
    path.write_text(json.dumps(document))
    plan = compiled(path, v2())

    assert "TOKEN" in "\n".join(lines(plan))
    assert "swordfish" not in "\n".join(lines(plan))
    assert "TOKEN=swordfish" in "\n".join(lines(plan, reveal=True))
