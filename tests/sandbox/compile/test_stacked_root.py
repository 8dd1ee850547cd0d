"""A first mount on `/` is the root file system itself: what its options come to, and what cannot stand there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyrunc.sandbox.compile.restore import bound
from pyrunc.sandbox.compile.stacked_root import stack_root
from pyrunc.sandbox.plan import Plan
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Failure, Invalid
from pyrunc.specs.runtime import Spec

from .test_golden import GOLDEN, compiled, v2

NEWNS = 0x00020000
ENDS = ["upperdir=upper", "workdir=/work"]


def plan_of(*options: str, flags: int = NEWNS, **more: Any) -> Plan:
    mount = {"destination": "/", "type": "overlay", "options": list(options)} | more
    plan = Plan()
    stack_root(plan, Spec(Node({"ociVersion": "1.3.0", "mounts": [mount], "linux": {}})), "/bundle", flags)
    return plan


def test_paths() -> None:
    """Relative paths start at the bundle; lowerdir+ takes what it is given, lowerdir is a list."""
    (operation,) = plan_of("lowerdir+=/a,b:c", "lowerdir+=d", "lowerdir=/e:f", "userxattr", *ENDS).init
    assert operation.values == (
        0, ["/a,b:c", "/bundle/d", "/e", "/bundle/f"], "/bundle/upper", "/work", ["userxattr"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        ([], {}, "1 to 500 layers"),
        (["lowerdir+=/l"] * 501 + ENDS, {}, "1 to 500 layers"),
        (["lowerdir+=/l", "workdir=w"], {}, "one upperdir"),
        (["lowerdir+=/l", "upperdir=u"], {}, "one workdir"),
        (["lowerdir+=/l", *ENDS, "upperdir=other"], {}, "one upperdir"),
        (["lowerdir+=", *ENDS], {}, "names nothing"),
        (["lowerdir=/a::/b", *ENDS], {}, "names nothing"),
        (["lowerdir+=/l", "ro", *ENDS], {}, "mount points have to be made"),
        (["lowerdir+=/l", "rslave", *ENDS], {}, "flags of the mount"),
        (["lowerdir+=/l", *ENDS], {"type": "tmpfs"}, "would hide the root"),
        (["lowerdir+=/l", "bind", *ENDS], {"type": ""}, "would hide the root"),
        (["lowerdir+=/l", *ENDS], {"flags": 0}, "mount namespace of its own"),
    ],
)
def test_refused(options: list[str], more: dict[str, Any], words: str) -> None:
    """Before anything is made, with its place."""
    with pytest.raises(Invalid, match=words) as caught:
        plan_of(*options, **more)
    assert caught.value.pointer == "mounts[0]"


def test_only_the_first_mount(tmp_path: Path) -> None:
    """A later one would hide what has been mounted."""
    document = json.loads((GOLDEN / "stacked.json").read_text())
    document["mounts"].append(document["mounts"].pop(0))
    (tmp_path / "later.json").write_text(json.dumps(document))
    with pytest.raises(Invalid, match="would hide the root"):
        compiled(tmp_path / "later.json", v2())


def test_no_checkpoint() -> None:
    """CRIU would bind the empty folder below the stack."""
    with pytest.raises(Failure, match="would lose the layers"):
        bound(compiled(GOLDEN / "stacked.json", v2()))
