"""CVE-2026-30892: `exec --user` with something that is no number ran the process as root."""

from __future__ import annotations

from .conftest import Bundle, Unguarded

NO_NUMBERS = ["1x", "alice", " 1", "+1", "0x1", "-1", "4294967296", "4294967295", "1:alice", "1.0"]


def test_attack_fails(bundle: Bundle) -> None:
    """What is no id between 0 and 4294967294 runs nothing; what is one becomes that user."""
    box = bundle().up()

    results = {user: box.exec("id", "-u", flags=("--user", user)) for user in NO_NUMBERS}

    assert {user: result.out for user, result in results.items() if result.ok or result.out} == {}
    assert all("invalid user or group id" in result.err for result in results.values())
    assert box.exec("id", "-u", flags=("--user", "1")).out == "1\n"


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded) -> None:
    """With a lenient parser a name and a number that overflows are root."""
    box = unguarded(bundle()).up()

    assert [box.exec("id", "-u", flags=("--user", user)).out for user in ("alice", "4294967296")] == ["0\n", "0\n"]
