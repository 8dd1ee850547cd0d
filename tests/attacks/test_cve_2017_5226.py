"""CVE-2017-5226: a container shares its caller's session, so that TIOCSTI types into the caller's terminal.

Without the terminal of that session as its own no process can do it, so what counts is whether /dev/tty opens.
"""

from __future__ import annotations

import os
import pty

from tests.system.box import Box

from .conftest import Bundle, Unguarded

OPEN = "if (exec 3<>/dev/tty) 2>/dev/null; then echo caller; else echo none; fi"


def terminals(box: Box) -> list[str]:
    """Whose terminal the processes of `exec` and of `run` have, when the runtime's caller has one."""
    box.up()
    again = (
        'exec 3<>"$0"; exec "$@" 3>&-'  # the first terminal that the leader of a session opens becomes the session's
    )
    master, slave = pty.openpty()
    try:
        with box.runtime.below("setsid", "--wait", "sh", "-c", again, os.ttyname(slave)):
            entered = box.exec("sh", "-c", OPEN).out
            assert box.delete("--force").ok
            return [entered, box.sh(OPEN).run().out]
    finally:
        os.close(master)
        os.close(slave)


def test_attack_fails(bundle: Bundle) -> None:
    """Neither `run` nor `exec` hands the caller's terminal on."""
    assert terminals(bundle()) == ["none\n", "none\n"]


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded) -> None:
    """In the caller's session both reach its terminal."""
    assert terminals(unguarded(bundle())) == ["caller\n", "caller\n"]
