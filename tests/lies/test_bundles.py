"""Every broken bundle is answered with one sentence, its own, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system import host
from tests.system.box import Box
from tests.system.conftest import Bundle
from tests.system.runtime import Result

from . import bundles, more_bundles
from .answer import agrees, message_of
from .words import filled, tell

TABLES = (
    bundles.FILE, bundles.TYPES, bundles.NULS, bundles.ROOTFS, bundles.MOUNTS, more_bundles.NAMESPACES,
    more_bundles.PROCESS, more_bundles.CGROUPS, more_bundles.UNITS, more_bundles.LIMITS, more_bundles.SYSCTLS,
    more_bundles.DEVICES, more_bundles.SECCOMP, more_bundles.HOOKS, more_bundles.CALLS, more_bundles.COUNTS,
)  # fmt: skip
LIES = {lie.name: lie for table in TABLES for lie in table}
LONG = {"cgroup too deep", "100,000 rules", *(lie.name for lie in more_bundles.COUNTS)}
# runc's words before ours; what stands between the quotes is in ours again.
MOUNTING = re.compile(r'error during container init: error mounting "[^"]*" to rootfs at "[^"]*": ')
UNSEEN = {"out-of-the-way", "output", "errors"}


def contents(box: Box) -> set[str]:
    """What is in the bundle; not in the rootfs, where mount points that are missing may be made."""
    return set(os.listdir(box.folder)) - UNSEEN


def attempt(box: Box, command: str, flags: list[str], options: tuple[str, ...] = ()) -> Result:
    """Creates or runs it, with files in the place of the streams that a created container would keep."""
    arguments = [*options, command, *flags, "--bundle", str(box.folder), box.id]
    out, err = box.folder / "output", box.folder / "errors"
    out.unlink(missing_ok=True)
    result = box.runtime.with_files(*arguments, output=out, errors=err)
    return Result(result.args, result.status, out.read_text(), result.err)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.soak if name in LONG else ()) for name in LIES])
def test_broken_bundle(bundle: Bundle, name: str) -> None:
    """The sentence is the one of the table, from `run` and from `create`; no state, cgroup, mount, process or file is
    left, which is seen before anybody tidies up; `validate` finds what can be found in the document."""
    lie = LIES[name]
    box = bundle("true")
    words = {"bundle": str(box.folder), "id": box.id, "started": "unable to start container process: "}
    tell(lie, box.config, box.folder, words)
    files = contents(box)
    before = host.leftovers(box.id, box.folder, box.runtime.state)

    for command in lie.commands:
        result = attempt(box, command, [filled(flag, words) for flag in lie.flags], lie.options)
        message = message_of(result.status, result.out, result.err)
        bare = message.startswith("exec /") and lie.says == message  # said by itself, as a shell would
        assert bare or message.startswith(f"pyrunc {command} failed: "), message
        message = message.removeprefix(f"pyrunc {command} failed: ")
        for word, text in words.items():
            message = message.replace(text, f"{{{word}}}")
        message = MOUNTING.sub("{mounting}", message)
        assert agrees(message, lie.says), message
        assert contents(box) == files
        assert not host.more(before, host.leftovers(box.id, box.folder, box.runtime.state))

    if lie.valid is not None:
        judged = box.runtime("validate", str(box.folder))
        assert judged.status == (0 if lie.valid else 1), judged
        assert "internal error" not in judged.err


@pytest.mark.parametrize("name", ["dev", "dev/pts", "dev/shm"])
@pytest.mark.parametrize("target", ["/tmp", "../../../../../../../../../../../../tmp"])
def test_links_in_the_rootfs_stay_inside(bundle: Bundle, name: str, target: str) -> None:
    """CVE-2026-41579: what is mounted on a link lands in the container, wherever the link would lead on the host."""
    box = bundle("true")
    if name != "dev":
        box.without_mount("/dev")
    path = box.rootfs / name
    path.symlink_to(target) if not path.exists() else path.rename(box.folder / "old") and path.symlink_to(target)
    names = set(os.listdir("/tmp"))

    result = box.sh("grep ' /tmp ' /proc/mounts | wc -l; ls -a /tmp | wc -l").run()

    assert result.ok and int(result.lines[0]) == 1, result
    assert not {"pts", "shm", "mqueue", "null", "ptmx", "fd"} & (set(os.listdir("/tmp")) - names)


def test_unknown_capabilities_are_no_error(bundle: Bundle) -> None:
    """A document may be newer than the kernel: the container runs without them."""
    box = bundle("true")
    box.capabilities("CAP_KILL", "CAP_FLY", "kill")

    result = box.run()

    assert result.ok, result


@contextmanager
def small_disk(place: Path, *options: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        place.rmdir()


@pytest.mark.parametrize("command", ["run", "create"])
def test_state_on_a_full_disk(bundle: Bundle, folder: Path, command: str) -> None:
    """Without room for its record no container is made, and the id is free again."""
    box = bundle("true")
    box.write()
    with small_disk(folder / "full", "size=64k") as place:
        (place / "ballast").write_bytes(bytes(60 << 10))
        box.runtime.state, usual = place, box.runtime.state
        try:
            result = attempt(box, command, [])
        finally:
            box.runtime.state = usual
        assert set(os.listdir(place)) - {".@failures"} == {"ballast"}  # the former is for `explain`

    message = message_of(result.status, result.out, result.err)
    start = f"pyrunc {command} failed: unable to start container process: cannot write {place}/{box.id}/"
    assert message.startswith(start) and message.endswith(": ENOSPC: no space left on device"), message


@pytest.mark.parametrize("command", ["run", "create"])
def test_state_on_a_read_only_disk(bundle: Bundle, folder: Path, command: str) -> None:
    """A container whose state cannot be kept is not made."""
    box = bundle("true")
    box.write()
    with small_disk(folder / "fixed", "ro") as place:
        box.runtime.state, usual = place, box.runtime.state
        try:
            result = attempt(box, command, [])
        finally:
            box.runtime.state = usual

    message = message_of(result.status, result.out, result.err)
    assert message == f"pyrunc {command} failed: cannot make the folder {place}/{box.id}: EROFS: read-only file system"


def test_config_that_may_not_be_read(bundle: Bundle) -> None:
    """A user who may not read config.json is told so."""
    box = bundle("true")
    box.write()
    (box.folder / "config.json").chmod(0o600)
    with box.runtime.below("setpriv", "--reuid=65534", "--clear-groups", "--regid=65534"):
        result = box.runtime("run", "--bundle", str(box.folder), box.id)

    message = message_of(result.status, result.out, result.err)
    assert message == f"pyrunc run failed: cannot open {box.folder}/config.json: EACCES: permission denied"


@pytest.mark.parametrize(
    ("place", "why"), [("nothing", "ENOENT: no such file or directory"), ("output", "ENOTDIR: not a directory")]
)
def test_bundle_that_is_none(bundle: Bundle, place: str, why: str) -> None:
    """A bundle is a folder, and one that is there."""
    box = bundle("true")
    box.output.touch()
    result = box.runtime("run", "--bundle", str(box.folder / place), box.id)

    assert message_of(result.status, result.out, result.err) == (
        f"pyrunc run failed: cannot open the bundle {box.folder / place}: {why}"
    )


def test_enough_lies() -> None:
    """No two lies of one name: each is told."""
    assert sum(len(table) for table in TABLES) == len(LIES) >= 60
