"""What is said of security modules that the kernel does not run, against trees that show one or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrunc.sandbox.security import APPARMOR, SELINUX, check_security
from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Failure
from pyrunc.specs.runtime import Process


def process(**members: str) -> Process:
    return Process(Node(members, "process"))


@pytest.fixture
def both(tmp_path: Path) -> str:
    for file, content in ((APPARMOR, "Y\n"), (SELINUX, "0")):
        path = tmp_path / file[1:]
        path.parent.mkdir(parents=True)
        path.write_text(content)
    return str(tmp_path)


def test_modules_that_run(both: str) -> None:
    """Nothing is changed of what they are asked for, `unconfined` included: the caller may be confined itself."""
    asked = process(apparmorProfile="unconfined", selinuxLabel="a:b:c:s0")
    check_security(asked, both)

    assert (asked.apparmor_profile, asked.selinux_label) == ("unconfined", "a:b:c:s0")


def test_no_module(tmp_path: Path) -> None:
    """Without it a profile and a label are errors, in runc's words; `unconfined` is what everything is then."""
    with pytest.raises(Failure, match="apparmor: config provided but apparmor not supported") as apparmor:
        check_security(process(apparmorProfile="docker-default"), str(tmp_path))
    with pytest.raises(Failure, match="selinux is disabled or not supported") as selinux:
        check_security(process(selinuxLabel="a:b:c:s0"), str(tmp_path))
    unconfined = process(apparmorProfile="unconfined")
    check_security(unconfined, str(tmp_path))

    assert apparmor.value.pointer == "process.apparmorProfile"
    assert selinux.value.pointer == "process.selinuxLabel"
    assert unconfined.apparmor_profile == ""


def test_module_that_is_off(both: str) -> None:
    """AppArmor that was disabled at boot does not count, though it is built in."""
    Path(both + APPARMOR).write_text("N\n")

    with pytest.raises(Failure, match="not supported"):
        check_security(process(apparmorProfile="docker-default"), both)
