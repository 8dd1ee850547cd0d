"""CVE-2025-62161: a masked path is exchanged while it is covered, and what was to be hidden can be read."""

from __future__ import annotations

import pytest

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded
from .race import Stop, Stopper


def attack(box: Box, stopper: Stopper, kind: str) -> Result:
    """The file or folder to be covered is swapped with another one after it was looked up."""
    hidden, other = box.rootfs / "etc/hidden", box.rootfs / "etc/other"
    for path, text in ((hidden, ""), (other, "secret\n")):
        if kind == "folder":
            path.mkdir()
            (path / "file").write_text(text)
        else:
            path.write_text(text)
    box.linux["readonlyPaths"], box.linux["maskedPaths"] = [], ["/etc/hidden"]

    def swap(pid: int) -> None:
        hidden.rename(box.rootfs / "etc/moved")
        other.rename(hidden)

    with stopper.stops(box.runtime, Stop("openat2", swap, text="/etc/hidden")) as fds:
        return box.sh("cat /etc/hidden /etc/hidden/file 2>/dev/null; true").run(pass_fds=fds)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_attack_fails(bundle: Bundle, stopper: Stopper, kind: str) -> None:
    """The mask is moved on to whatever is at the path by then."""
    result = attack(bundle(), stopper, kind)

    assert (result.out, result.err) == ("", "")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_other_kind(bundle: Bundle, stopper: Stopper, kind: str) -> None:
    """A container whose mask cannot be moved on, because a file has taken a folder's place or the other way round, does
    not start."""
    box = bundle()
    hidden, other = box.rootfs / "etc/hidden", box.rootfs / "etc/other"
    for path, wanted in ((hidden, kind == "folder"), (other, kind != "folder")):
        if wanted:
            path.mkdir()
        else:
            path.write_text("secret\n")
    box.linux["readonlyPaths"], box.linux["maskedPaths"] = [], ["/etc/hidden"]

    def swap(pid: int) -> None:
        hidden.rename(box.rootfs / "etc/moved")
        other.rename(hidden)

    with stopper.stops(box.runtime, Stop("openat2", swap, text="/etc/hidden")) as fds:
        result = box.sh("cat /etc/hidden").run(pass_fds=fds)

    assert not result.ok
    assert "linux.maskedPaths[0]" in result.err
    assert "secret" not in result.out


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_guard_is_what_stops_it(bundle: Bundle, stopper: Stopper, kind: str, unguarded: Unguarded) -> None:
    """Unseen, the exchange shows what was to be hidden."""
    assert attack(unguarded(bundle()), stopper, kind).out == "secret\n"
