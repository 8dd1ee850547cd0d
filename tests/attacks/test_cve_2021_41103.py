"""CVE-2021-41103, CVE-2024-25621: folders of the runtime that other users may enter, with setuid programs and secrets
of containers in them. No umask opens ours."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

import pytest

from tests.system.box import Box
from tests.system.runtime import Runtime

from .conftest import Bundle, Unguarded


def for_others(box: Box) -> str:
    """What users who are not the owner may do in a container's folder, made with a umask of 0."""
    with box.runtime.below("sh", "-c", 'umask 0; exec "$@"', "umask"):
        assert box.create().ok
    return oct((Path(box.runtime.state) / box.id).stat().st_mode & 0o077)


def test_attack_fails(bundle: Bundle) -> None:
    """Made under a umask of 0, the folder of a container is its owner's alone."""
    assert for_others(bundle("true")) == "0o0"


def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded) -> None:
    """Without its mode, everybody may enter it."""
    assert for_others(unguarded(bundle("true"))) == "0o77"


def test_root_folder(bundle: Bundle, tmp_path: Path) -> None:
    """The root folder and those above it, where they have to be made, are closed as well."""
    box = bundle("true")
    box.runtime = Runtime(shlex.join(box.runtime.command), tmp_path / "made/by/us")
    with box.runtime.below("sh", "-c", 'umask 0; exec "$@"', "umask"):
        assert box.create().ok
    assert box.delete("--force").ok

    assert [oct(stat.S_IMODE((tmp_path / name).stat().st_mode)) for name in ("made", "made/by", "made/by/us")] == [
        "0o1700"
    ] * 3


@pytest.mark.parametrize("name", ["state", "config.json", "start.sock"])
def test_files(bundle: Bundle, name: str) -> None:
    """The files, which hold the environment, are closed in their own right."""
    box = bundle("true")
    with box.runtime.below("sh", "-c", 'umask 0; exec "$@"', "umask"):
        assert box.create().ok

    assert oct((Path(box.runtime.state) / box.id / name).stat().st_mode)[-3:] == "600"
