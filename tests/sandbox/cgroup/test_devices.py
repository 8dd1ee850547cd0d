"""Device rules: what the programs and writes allow, compared with the rules read one by one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunc.sandbox.cgroup.devices import DEFAULT_RULES, allows_all, program, rules, writes
from pyrunc.sandbox.cgroup.layout import Layout
from pyrunc.specs.errors import Failure, Invalid
from tests.sandbox.cgroup import ebpf
from tests.sandbox.cgroup.conftest import Make
from tests.sandbox.documents import resources

Rule = tuple[bool, str, int | None, int | None, int, str]

KINDS = {"b": 1, "c": 2}
numbers = st.none() | st.integers(0, 3)
rule = st.tuples(st.booleans(), st.sampled_from("bc"), numbers, numbers, st.integers(1, 7), st.just("p"))
request = st.tuples(st.sampled_from("bc"), st.integers(0, 4), st.integers(0, 4), st.integers(1, 7))


def allowed(base: bool, found: list[Rule], kind: str, major: int, minor: int, access: int) -> bool:
    """The meaning of rules: for each kind of access the last rule that matches decides."""
    for bit in (1, 2, 4):
        answer = base
        for allow, of, a, b, mask, _ in found:
            if of == kind and a in (None, major) and b in (None, minor) and mask & bit:
                answer = allow
        if access & bit and not answer:
            return False
    return True


def compiled(*devices: dict[str, Any]) -> tuple[bool, list[Rule]]:
    return rules(resources(devices=list(devices)).devices)


@given(st.booleans(), st.lists(rule, max_size=8), st.lists(request, min_size=1, max_size=20))
def test_program_decides_as_the_rules(base: bool, found: list[Rule], requests: list[tuple[str, int, int, int]]) -> None:
    """The program answers as the last matching rule does, for every mixture of kinds of access."""
    code = program(base, found)

    for kind, major, minor, access in requests:
        answer = ebpf.run(code, KINDS[kind], major, minor, access)
        assert answer == allowed(base, found, kind, major, minor, access), (kind, major, minor, access)


class KernelV1:
    """How devices.allow and devices.deny behave (security/device_cgroup.c)."""

    def __init__(self) -> None:
        self.allow = True
        self.exceptions: dict[tuple[str, str, str], set[str]] = {}

    def write(self, file: str, value: str) -> None:
        allow = file == "devices.allow"
        if value == "a":
            self.allow = allow
            self.exceptions.clear()
            return
        kind, device, letters = value.split()
        major, minor = device.split(":")
        held = self.exceptions.setdefault((kind, major, minor), set())
        if allow == self.allow:
            held -= set(letters)
        else:
            held |= set(letters)

    def asks(self, kind: str, major: int, minor: int, letters: set[str]) -> bool:
        matching = [
            held
            for (of, a, b), held in self.exceptions.items()
            if of == kind and a in ("*", str(major)) and b in ("*", str(minor))
        ]
        if self.allow:
            return not any(held & letters for held in matching)
        return any(letters <= held for held in matching)


@given(st.booleans(), st.lists(rule, max_size=6), st.lists(request, min_size=1, max_size=20))
def test_writes_decide_as_the_rules(base: bool, found: list[Rule], requests: list[tuple[str, int, int, int]]) -> None:
    """The writes of cgroup v1 allow what the rules allow, never more; what they cannot say is refused."""
    try:
        lines = writes(base, found)
    except Failure:
        return
    kernel = KernelV1()
    for file, value, _ in lines:
        kernel.write(file, value)

    for kind, major, minor, access in requests:
        letters = {letter for letter, bit in (("m", 1), ("r", 2), ("w", 4)) if access & bit}
        wanted = allowed(base, found, kind, major, minor, access)
        answer = kernel.asks(kind, major, minor, letters)
        assert answer <= wanted
        if len(letters) == 1:
            assert answer == wanted


def test_defaults_come_last() -> None:
    """A document cannot take /dev/null from a container, but everything that is not harmless."""
    base, found = compiled({"allow": False, "access": "rwm"}, {"allow": False, "type": "c", "major": 1, "minor": 3})

    assert (base, found[-len(DEFAULT_RULES) :]) == (False, list(DEFAULT_RULES))
    assert allowed(base, found, "c", 1, 3, 7)
    assert allowed(base, found, "c", 136, 12, 6)
    assert allowed(base, found, "b", 8, 0, 1)
    assert not allowed(base, found, "b", 8, 0, 2)


def test_no_rules_is_deny() -> None:
    """Without any rule a container gets the default devices alone."""
    base, found = compiled()

    assert not base
    assert not allowed(base, found, "c", 1, 1, 2)


def test_wildcard_overrides_what_was_before() -> None:
    """A rule of type a ignores its numbers and its access, and everything before it."""
    base, found = compiled(
        {"allow": False, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
        {"allow": True, "type": "a", "major": 7, "access": "r"},
    )

    assert allows_all(base, found)
    assert not allows_all(*compiled({"allow": True}, {"allow": False, "type": "b", "access": "w"}))


def test_exception_from_an_exception() -> None:
    """cgroup v1 cannot take one device out of a wider rule: refused, naming both."""
    found = compiled(
        {"allow": True, "type": "c", "major": 4, "access": "rw"},
        {"allow": False, "type": "c", "major": 4, "minor": 64, "access": "w"},
    )

    with pytest.raises(Failure, match=r"cannot deny c 4:64 w .*c 4:\* rw"):
        writes(*found)


def test_runc_list() -> None:
    """The writes of `runc spec` end in the list that runc 1.3 makes."""
    kernel = KernelV1()
    for file, value, _ in writes(*compiled({"allow": False, "access": "rwm"})):
        kernel.write(file, value)

    assert not kernel.allow
    assert {f"{k} {a}:{b} {''.join(sorted(held))}" for (k, a, b), held in kernel.exceptions.items()} == {
        "b *:* m", "c *:* m", "c 1:3 mrw", "c 1:5 mrw", "c 1:7 mrw", "c 1:8 mrw", "c 1:9 mrw", "c 5:0 mrw", "c 5:2 mrw",
        "c 10:200 mrw", "c 136:* mrw",
    }  # fmt: skip


@pytest.mark.parametrize("bad", [{"type": "p"}, {"type": "c", "access": "x"}, {"type": "c", "major": -3}])
def test_nonsense_is_refused(bad: dict[str, Any]) -> None:
    """Types, letters and numbers that the kernel has no meaning for are errors."""
    with pytest.raises(Invalid):
        compiled({"allow": True, **bad})


# -- the kernel's own opinion ----------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no number of bpf(2) here")
@pytest.mark.parametrize(
    "devices",
    [
        [],
        [{"allow": True}],
        [{"allow": True}, {"allow": False, "type": "b", "access": "rw"}],
        [{"allow": True, "type": "c", "access": "r"}, {"allow": False, "type": "c", "major": 1, "minor": 11}],
        [{"allow": True, "type": "c", "major": number, "minor": 2**32 - 1, "access": "w"} for number in range(300)],
    ],
)
def test_verifier_accepts(root: None, devices: list[dict[str, Any]]) -> None:
    """The kernel's verifier takes the programs, small, large and with either default."""
    os.close(ebpf.load(program(*compiled(*devices))))


TRY = """
import os, sys
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
for path in "/dev/null", "/dev/zero", "/dev/full", "/dev/kmsg":
    try:
        os.close(os.open(path, os.O_RDWR if path == "/dev/null" else os.O_RDONLY))
        print(path, "ok")
    except PermissionError:
        print(path, "refused")
try:
    os.mknod(sys.argv[2], 0o020600, os.makedev(1, 11))
    print("mknod ok")
except PermissionError:
    print("mknod refused")
"""


def attempts(cgroup: str, node: str) -> list[str]:
    command = [sys.executable, "-c", TRY, cgroup, node]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


def test_program_in_the_kernel(layout: Layout, make: Make, tmp_path: Any) -> None:
    """Under the default program a process opens the default devices and no other, and may still make nodes."""
    if layout.unified is None:
        pytest.skip("needs cgroup2")
    plan = make()
    assert plan.into
    loaded = ebpf.load(program(*compiled({"allow": False, "access": "rwm"})))
    ebpf.attach(plan.into, loaded)
    os.close(loaded)

    assert attempts(plan.into, str(tmp_path / "node")) == [
        "/dev/null ok", "/dev/zero ok", "/dev/full ok", "/dev/kmsg refused", "mknod ok",
    ]  # fmt: skip


def test_writes_in_the_kernel(layout: Layout, make: Make, tmp_path: Any) -> None:
    """The same on cgroup v1, with one device more."""
    folder = next((h for h in layout.hierarchies if "devices" in h.controllers), None)
    if folder is None:
        pytest.skip("needs the devices controller of cgroup v1")
    plan = make(
        resources(devices=[{"allow": False}, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "r"}])
    )
    own = next(path for path in plan.folders if path.startswith(folder.mount + "/"))

    assert attempts(own, str(tmp_path / "node")) == [
        "/dev/null ok", "/dev/zero ok", "/dev/full ok", "/dev/kmsg ok", "mknod ok",
    ]  # fmt: skip
    assert attempts(make().folders[plan.folders.index(own)], str(tmp_path / "node2"))[3] == "/dev/kmsg refused"
