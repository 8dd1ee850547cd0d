"""CVE-2022-29162: `exec --cap` made capabilities inheritable."""

from __future__ import annotations

from tests.system.box import Box

from .conftest import Bundle, Unguarded


def entered(box: Box) -> dict[str, int]:
    """The capability sets of a process that got CAP_NET_RAW by `exec --cap`."""
    box.up()
    status = box.exec("cat", "/proc/self/status", flags=("--cap", "CAP_NET_RAW")).out
    return {line.split()[0]: int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")}


def test_attack_fails(bundle: Bundle) -> None:
    """It is given, and not inheritable."""
    sets = entered(bundle())

    assert sets["CapEff:"] >> 13 & 1
    assert sets["CapInh:"] == sets["CapAmb:"] == 0


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded) -> None:
    """What is added to the inheritable list as well is inheritable."""
    assert entered(unguarded(bundle()))["CapInh:"] == 1 << 13
