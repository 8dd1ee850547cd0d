"""CVE-2026-31431: a fault of the kernel behind sockets of the family AF_ALG, open to every container whose filter knows
`socket` by its name alone. A recorded profile allows all other families."""

from __future__ import annotations

import json

import pytest

from pyrunc.recording import profile
from pyrunc.sandbox.seccomp.explain import Explainer
from pyrunc.specs.decode import Node
from pyrunc.specs.seccomp import Seccomp

AF_UNIX, AF_INET, AF_ALG = 1, 2, 38
SOCKET = 41  # on x86_64


@pytest.fixture
def recorded() -> dict[str, object]:
    """The profile of a program that has used sockets."""
    import platform

    if platform.machine() != "x86_64":
        pytest.skip("numbers of system calls are those of x86_64")
    return profile([SOCKET, 1, 60], [])


def test_attack_fails(recorded: dict[str, object]) -> None:
    """AF_ALG is refused, every other family allowed."""
    explainer = Explainer(Seccomp(Node(json.loads(json.dumps(recorded)))), "x86_64")

    assert explainer.verdict("socket", {0: AF_ALG}).refused
    assert not any(
        explainer.verdict("socket", {0: family}).refused for family in (AF_UNIX, AF_INET, 16, 37, 39, 40, 45)
    )
    # The kernel takes the lower half of the argument for the family.
    assert explainer.verdict("socket", {0: 1 << 32 | AF_ALG}).refused
    assert not explainer.verdict("write", {0: AF_ALG}).refused


def test_guard_is_what_stops_it(recorded: dict[str, object]) -> None:
    """Allowed by its name alone, it allows them all."""
    syscalls = recorded["syscalls"]
    assert isinstance(syscalls, list)
    for rule in syscalls:
        rule.pop("args", None)

    assert not Explainer(Seccomp(Node(recorded)), "x86_64").verdict("socket", {0: AF_ALG}).refused
