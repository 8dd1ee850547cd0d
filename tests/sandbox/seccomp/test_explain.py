"""What the explainer says about profiles, which has to be what filters do."""

from __future__ import annotations

import pytest

pytest.importorskip("pyrunc.sandbox.native._seccomp", reason="the native module is not built")

from pyrunc.sandbox.seccomp.explain import Explainer, name_of
from pyrunc.specs.errors import Invalid
from tests.sandbox.documents import seccomp
from tests.sandbox.seccomp.bpf import ARCHES
from tests.sandbox.seccomp.profile import condition, profile, rule
from tests.sandbox.seccomp.test_compile import decide, number, small


@pytest.mark.parametrize(
    ("call", "arguments", "action", "error", "pointer", "why"),
    [
        ("read", {}, "SCMP_ACT_ALLOW", "", "linux.seccomp.syscalls[0]", "whatever"),
        ("swapon", {}, "SCMP_ACT_ERRNO", "EPERM", "linux.seccomp.defaultAction", "no rule names it"),
        ("socket", {0: 2}, "SCMP_ACT_ALLOW", "", "linux.seccomp.syscalls[1]", "arg0 != 0x28"),
        ("socket", {0: 40}, "SCMP_ACT_ERRNO", "EPERM", "linux.seccomp.defaultAction", "no rule that names it holds"),
        ("personality", {0: 8}, "SCMP_ACT_ALLOW", "", "linux.seccomp.syscalls[3]", "arg0 == 0x8"),
        ("clone", {0: 0x11}, "SCMP_ACT_ALLOW", "", "linux.seccomp.syscalls[7]", "arg0 & 0x7e020000 == 0x0"),
        ("clone3", {}, "SCMP_ACT_ERRNO", "ENOSYS", "linux.seccomp.syscalls[8]", "whatever"),
        ("9999", {}, "SCMP_ACT_ERRNO", "ENOSYS", "linux.seccomp.defaultAction", "newer"),
        ("0", {}, "SCMP_ACT_ALLOW", "", "linux.seccomp.syscalls[0]", "whatever"),
    ],
)
def test_verdict(call: str, arguments: dict[int, int], action: str, error: str, pointer: str, why: str) -> None:
    """Action, errno, the place that decides and the reason."""
    verdict = Explainer(seccomp(**profile()), "x86_64").verdict(call, arguments)

    assert (verdict.action, verdict.errno, verdict.pointer) == (action, error, pointer)
    assert why in verdict.why
    assert verdict.refused == (action != "SCMP_ACT_ALLOW")


@pytest.mark.parametrize("op", ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"])
@pytest.mark.parametrize("value", [0, 5, 6, 1 << 40, 2**64 - 1])
def test_rules_hold_as_the_filter_decides(op: str, value: int) -> None:
    """What is said of a rule's conditions is what the compiled filter makes of them."""
    document = small(rule(["read"], condition(2, op, 5, 1)), default="SCMP_ACT_ERRNO")
    verdict = Explainer(seccomp(**document), "x86_64").verdict("read", {2: value})

    assert verdict.rules[0].holds == (decide(document, "read", 0, 0, value) == 0x7FFF0000) == (not verdict.refused)


def test_unconditional_rule_decides() -> None:
    """A rule without conditions is given as the reason, though one with conditions stands before it."""
    document = small(rule(["read"], condition(0, "EQ", 1)), rule(["read"]))
    verdict = Explainer(seccomp(**document), "x86_64").verdict("read", {0: 1})

    assert verdict.pointer == "linux.seccomp.syscalls[1]"
    assert [item.when for item in verdict.rules] == ["arg0 == 0x1", ""]


def test_no_call() -> None:
    """A name that no kernel has, or that only other machines have, is an error."""
    explainer = Explainer(seccomp(**profile()), "x86_64")
    with pytest.raises(Invalid, match="no system call"):
        explainer.verdict("surprise", {})
    with pytest.raises(Invalid, match="other architectures"):
        explainer.verdict("mmap2", {})


def test_names() -> None:
    """Numbers have names, where they have one."""
    assert name_of(ARCHES["x86_64"], number("openat")) == "openat"
    assert name_of(ARCHES["x86_64"], 99999) == ""
