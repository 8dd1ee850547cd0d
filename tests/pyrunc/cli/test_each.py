"""kill and delete for all containers whose id matches."""

from __future__ import annotations

import signal

from pyrunc.store import Store

from ..command import Pyrunc
from ..conftest import Keep, Sleeper


def test_delete(pyrunc: Pyrunc, keep: Keep, store: Store) -> None:
    """--regex deletes every container in whose id the expression is found, and no other."""
    for name in ("web-1", "web-2", "other"):
        keep(name)

    done = pyrunc("delete", "--regex", "^web-[0-9]$")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert store.ids() == ["other"]


def test_delete_all_that_can_be(pyrunc: Pyrunc, keep: Keep, store: Store, sleeper: Sleeper) -> None:
    """One that cannot be deleted keeps the others from nothing, and is named."""
    keep("a-1", sleeper())
    keep("a-2")

    done = pyrunc("delete", "--regex", "a-")

    assert done.says("a-1: cannot delete container a-1 that is not stopped: running")
    assert store.ids() == ["a-1"]


def test_none(pyrunc: Pyrunc, keep: Keep, store: Store) -> None:
    """No container that matches is no error."""
    keep("box")

    assert pyrunc("delete", "--regex", "^x").code == 0
    assert store.ids() == ["box"]


def test_bad_expression(pyrunc: Pyrunc, keep: Keep, store: Store) -> None:
    """What is no regular expression deletes nothing."""
    keep("box")

    done = pyrunc("delete", "--regex", "(")

    assert done.code == 1
    assert "invalid regular expression (" in done.err
    assert store.ids() == ["box"]


def test_kill(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """--regex sends the signal to every container that matches, and to no other."""
    first, second, other = sleeper(), sleeper(), sleeper()
    for name, process in (("web-1", first), ("web-2", second), ("other", other)):
        keep(name, process)

    assert pyrunc("kill", "--regex", "web", "USR1").code == 0

    assert [first.wait(5), second.wait(5)] == [-signal.SIGUSR1, -signal.SIGUSR1]
    assert other.poll() is None
