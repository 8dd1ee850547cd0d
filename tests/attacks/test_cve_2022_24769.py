"""CVE-2022-24769 and its like in other engines: containers begin with inheritable capabilities that nobody gave
them, and any file with the same inheritable capabilities raises them."""

from __future__ import annotations

from tests.system.box import Box

from .conftest import Bundle, Unguarded

NET_RAW = 1 << 13


def inheritable(box: Box) -> list[int]:
    """CapInh of the processes of `run` and `exec` when the caller has one, and the document lists none."""
    box.capabilities("CAP_NET_RAW", "CAP_KILL")
    with box.runtime.below("setpriv", "--inh-caps=+net_raw"):
        box.up("cat /proc/self/status; sleep 1000")
        box.wait_for("CapInh")
        entered = box.exec("cat", "/proc/self/status").out
    lines = (box.printed + entered).splitlines()
    return [int(line.split()[1], 16) for line in lines if line.startswith("CapInh")]


def test_attack_fails(bundle: Bundle) -> None:
    """Inheritable is what the document lists: nothing."""
    assert inheritable(bundle()) == [0, 0]


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded) -> None:
    """Left alone, it is the caller's."""
    assert inheritable(unguarded(bundle())) == [NET_RAW, NET_RAW]
