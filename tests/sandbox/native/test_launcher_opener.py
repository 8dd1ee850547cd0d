"""opener.c: sources of binds, opened with the launcher's rights in init's mount namespace."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc.sandbox import protocol
from pyrunc.sandbox.plan import Operation, op
from tests.sandbox.native.harness import NEWNS, NEWPID, NEWUSER, PROC, Result, bind, container, mount, shell

Run = Callable[..., Result]
NODEV, NOEXEC, NOSYMFOLLOW = 0x4, 0x8, 0x200000


def good(result: Result) -> str:
    assert result.status == 0 and result.failure is None, result
    return result.output


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder that only root of the host reaches."""
    folder = tmp_path / "closed" / "inside"
    folder.mkdir(parents=True)
    (folder / "file").write_text("reached\n")
    folder.parent.chmod(0o700)
    return folder


def mapped(run: Run, rootfs: Path, script: str, *mounts: Operation) -> Result:
    """A container in a user namespace, with an opener."""
    dismissed = [*mounts, op("dismiss_opener", "")]
    flags = NEWUSER | NEWNS | NEWPID
    return run(container(rootfs, shell(script), dismissed, first=[op("opener", "")], flags=flags))


def test_reaches_what_the_container_cannot(run: Run, rootfs: Path, secret: Path) -> None:
    """A source that is closed to the user namespace is opened by the opener and bound by init."""
    assert good(mapped(run, rootfs, "cat /work/file", bind("/work", str(secret)))) == "reached\n"


def test_sees_what_init_has_mounted(run: Run, rootfs: Path, secret: Path) -> None:
    """The source of a bind may lie on an earlier mount."""
    first, second = bind("/work", str(secret)), bind("/tmp", str(rootfs / "work"))

    assert good(mapped(run, rootfs, "cat /tmp/file", first, second)) == "reached\n"


def test_sees_the_own_root_only(run: Run, rootfs: Path) -> None:
    """What init mounts does not get into the opener's view of the host, which is gone with it."""
    before = Path("/proc/self/mountinfo").read_text()
    mapped(run, rootfs, "true", mount("/work", "tmpfs"), bind("/tmp", str(rootfs / "work")))

    assert Path("/proc/self/mountinfo").read_text() == before


def test_tells_why_it_cannot(run: Run, rootfs: Path) -> None:
    """errno, detail and source are those that init would have met; a failure that is tolerated ends nothing."""
    missing = bind("/work", "/no/such", tolerate="missing_ok")
    failure = mapped(run, rootfs, "true", missing, bind("/tmp", "/no/one")).failure

    assert failure is not None
    assert (failure.a, failure.detail, failure.text) == (2, protocol.DETAIL_SOURCE, "/no/one")


def test_ids_that_cannot_be_mapped(run: Run, rootfs: Path) -> None:
    """The user namespace that files belong to already maps nothing, and the detail says what failed."""
    own = os.open("/proc/self/ns/user", os.O_RDONLY)
    try:
        plan = container(rootfs, shell("true"), [bind("/work", str(rootfs), id_map="ids")], flags=NEWNS | NEWPID)
        failure = run(plan, {"ids": own}).failure
    finally:
        os.close(own)

    assert failure is not None
    assert (failure.detail, failure.text) == (protocol.DETAIL_ID_MAP, str(rootfs))


def test_dropped_flags_stay_where_they_are_locked(run: Run, rootfs: Path, secret: Path) -> None:
    """`drop` clears what may be cleared: all for root of the host; nosymfollow alone where the rest is locked."""
    show = "grep ' /work ' /proc/self/mounts"
    outer, inner = bind("/tmp", str(secret), set=NODEV | NOEXEC | NOSYMFOLLOW), str(rootfs / "tmp")
    again = bind("/work", inner, set=1, drop=NODEV | NOEXEC | NOSYMFOLLOW)
    options = good(run(container(rootfs, shell(show), [PROC, outer, again]))).split()[3].split(",")

    assert "ro" in options and not {"nodev", "noexec", "nosymfollow"} & set(options)


def test_it_ends(run: Run, rootfs: Path) -> None:
    """Never asked, and dismissed twice: it is gone, and the launcher that waits for it too."""
    assert good(mapped(run, rootfs, "echo there", op("dismiss_opener", ""))) == "there\n"
