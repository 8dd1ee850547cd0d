"""cgroup v2: the device filter is a program of ours in the kernel. Its rules, met by real opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from . import host
from .cgroup2 import group
from .conftest import Bundle

pytestmark = pytest.mark.usefixtures("cgroup2")

# What the container tries: name, mknod words, how it is opened.
NODES = "mknod kmsg c 1 11; mknod fuse c 10 229; mknod zero c 1 5; mknod loop b 7 0; mknod mem c 1 1"
TRIES = {
    "kmsg-r": "(exec 3< kmsg)", "kmsg-w": "(exec 3> kmsg)", "kmsg-rw": "(exec 3<> kmsg)", "zero-rw": "(exec 3<> zero)",
    "fuse-rw": "(exec 3<> fuse)", "null-w": "(exec 3> /dev/null)",
    "mknod-c": "mknod new c 99 9", "mknod-b": "mknod b b 99 9",
}  # fmt: skip
DENY_ALL = {"allow": False, "access": "rwm"}


def rule(allow: bool, access: str, kind: str = "c", **numbers: int) -> dict[str, Any]:
    return {"allow": allow, "type": kind, "access": access, **numbers}


# Everybody may use the standard devices and make nodes, which are of no use until they may be opened.
DEFAULT = {"zero-rw", "null-w", "mknod-c", "mknod-b"}
CASES: dict[str, tuple[list[dict[str, Any]], set[str]]] = {
    "default": ([DENY_ALL], DEFAULT),
    "read": ([DENY_ALL, rule(True, "r", major=1, minor=11)], DEFAULT | {"kmsg-r"}),
    "any-minor": ([DENY_ALL, rule(True, "rw", major=1)], DEFAULT | {"kmsg-r", "kmsg-w", "kmsg-rw"}),
    "later-denies": ([rule(True, "rwm", "a"), rule(False, "w", major=1, minor=11)], DEFAULT | {"kmsg-r", "fuse-rw"}),
    "later-allows": (
        [rule(True, "rwm", "a"), rule(False, "rw"), rule(True, "rw", major=10, minor=229)],
        DEFAULT | {"fuse-rw"},
    ),
    "block-is-not-char": ([DENY_ALL, rule(True, "rw", "b", major=1, minor=11)], DEFAULT),
}


QUICK = ("read", "later-denies")


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=() if name in QUICK else pytest.mark.soak) for name in CASES]
)
def test_rules(bundle: Bundle, case: str) -> None:
    """A device opens as the rules say, read apart from write, number by number, the last rule that fits counting."""
    rules, allowed = CASES[case]
    box = bundle()
    box.capabilities("CAP_MKNOD", "CAP_SYSLOG")
    box.linux["resources"]["devices"] = rules
    box.mount("/nodes", "tmpfs", "tmpfs", "dev")
    tries = "; ".join(f"{attempt} 2>/dev/null && echo {name}" for name, attempt in TRIES.items())

    result = box.sh(f"cd /nodes; {NODES}; {tries}; true").run()

    known = set(TRIES) if Path("/dev/fuse").exists() else set(TRIES) - {"fuse-rw"}
    assert set(result.out.split()) == allowed & known, result


def test_exec_and_sub_groups_are_filtered(bundle: Bundle) -> None:
    """The filter holds for a process that `exec` adds, and in every cgroup below the container's."""
    box = bundle()
    box.capabilities("CAP_MKNOD", "CAP_SYSLOG")
    box.mount("/nodes", "tmpfs", "tmpfs", "dev")
    box.up("mknod /nodes/kmsg c 1 11; echo made; sleep 1000")
    box.wait_for("made")
    (group(box) / "below").mkdir()

    for flags in ((), ("--cgroup", "below")):
        result = box.exec("sh", "-c", "cat /proc/self/cgroup; (exec 3< /nodes/kmsg) || echo no", flags=flags)
        path = "/".join([box.cgroup, *flags[1:]])
        assert result.lines == [f"0::{path}", "no"], result
        assert "not permitted" in result.err

    (host.CGROUPS / box.cgroup[1:] / "below").rmdir()
