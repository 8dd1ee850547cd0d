"""What the doctor makes of other machines than this one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pyrunc.sandbox.cgroup.layout import Hierarchy, Layout, Unified
from pyrunc.sandbox.doctor import LIMITED, MISSING, OK, Check, examine, healthy
from pyrunc.sandbox.doctor.checks import FILE_SYSTEMS, HELPFUL, NAMESPACES, NEEDED, SUBJECTS
from pyrunc.sandbox.doctor.machine import Machine

V2 = Layout((), Unified(("cpu", "cpuset", "io", "memory", "pids"), "/sys/fs/cgroup", "/user"))
FILES = {
    "/proc/filesystems": "\n".join(f"nodev\t{name}" for name in FILE_SYSTEMS) + "\n\text4",
    "/proc/sys/kernel/seccomp/actions_avail": "kill_process errno user_notif log allow",
    "/proc/sys/kernel/io_uring_disabled": "0",
    "/proc/pressure/memory": "",
    "/sys/kernel/security/lsm": "lockdown,apparmor,selinux",
    "/proc/sys/fs/binfmt_misc/qemu-aarch64": "enabled",
    "/run/systemd/private": "",
}
FLAGS = ("tsync", "log", "spec_allow", "new_listener", "wait_killable_recv")
TRIED = {
    **{f"namespace {name}": 0 for name in NAMESPACES},
    **{f"call {name}": errno.EINVAL for name in (*NEEDED, *HELPFUL)},
    **{
        f"seccomp {name}": errno.EFAULT for name in ("tsync", "log", "spec_allow", "new_listener", "wait_killable_recv")
    },
    "call io_uring_setup": errno.EFAULT,
    "idmapped mount": 0,
}


class Other:
    """A machine made of files; what is not said is as on a good one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = ("newuidmap", "newgidmap", "criu")
        self.criu = "true"  # what it says to `criu check`

    def checks(
        self, files: dict[str, str] | None = None, tried: dict[str, int] | None = None, euid: int = 0,
        layout: Layout = V2, environment: dict[str, str] | None = None,
    ) -> dict[str, Check]:  # fmt: skip
        for path, text in {**FILES, **(files or {})}.items():
            place = Path(f"{self.root}{path}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        for name in self.programs:
            program = self.root / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f'#!/bin/sh\n[ "$1" = check ] && {self.criu}\n')
            program.chmod(0o755)
        machine = Machine(
            str(self.root), euid=euid, user="alice", environment=environment or {}, kernel="6.1", layout=layout,
            tried={**TRIED, **(tried or {})}, path=str(self.root / "bin"),
        )  # fmt: skip
        return {check.name: check for subject in SUBJECTS for check in subject(machine)}


@pytest.fixture
def other(tmp_path: Path) -> Other:
    return Other(tmp_path)


def test_all_well(other: Other) -> None:
    """A machine that has everything gets no remedies."""
    checks = other.checks()

    assert [check.name for check in checks.values() if check.result != OK or check.remedy] == []
    assert healthy(list(checks.values()))


def test_old_kernel(other: Other) -> None:
    """A kernel without openat2 runs no container, and the remedy names the version."""
    checks = other.checks(tried={"call openat2": errno.ENOSYS, "call mount_setattr": errno.ENOSYS})

    assert (checks["kernel"].result, checks["kernel"].found) == (MISSING, "Linux 6.1, no openat2")
    assert "5.6" in checks["kernel"].remedy
    assert checks["system call mount_setattr"].result == LIMITED
    assert not healthy(list(checks.values()))


def test_confined(other: Other) -> None:
    """System calls that are forbidden to us are no matter of the kernel's version."""
    assert "seccomp profile" in other.checks(tried={"call clone3": errno.EPERM})["kernel"].remedy


@pytest.mark.parametrize(
    ("file", "value", "remedy"),
    [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor profile with `userns,`"),
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces="),
    ],
)
def test_user_namespaces_switched_off(other: Other, file: str, value: str, remedy: str) -> None:
    """Each of the switches that forbid user namespaces is found."""
    checks = other.checks({file: value}, {"namespace user": errno.EPERM}, euid=1000)

    assert checks["user namespace"].result == MISSING
    assert remedy in checks["user namespace"].remedy


def test_no_mount_namespace(other: Other) -> None:
    """Without mount namespaces no container runs; without time namespaces most do."""
    assert not healthy(list(other.checks(tried={"namespace mount": errno.EPERM}).values()))
    assert healthy(list(other.checks(tried={"namespace time": errno.EINVAL}).values()))


def test_hybrid_cgroups(other: Other) -> None:
    """Controllers are counted on both versions, `blkio` as io; what is in neither is named."""
    hierarchies = (Hierarchy(("memory",), "/cg/memory"), Hierarchy(("blkio",), "/cg/blkio"))
    checks = other.checks(layout=Layout(hierarchies, Unified(("pids",), "/cg/unified")))

    assert checks["cgroups"].result == LIMITED
    assert checks["controllers"].found == "io memory pids; not cpu cpuset"


def test_nothing_delegated(other: Other) -> None:
    """A user without a delegated cgroup learns how to get one."""
    layout = Layout((), Unified(("memory", "pids"), "/sys/fs/cgroup", "/user"), writable=False)
    checks = other.checks(euid=1000, layout=layout)

    assert "Delegate=yes" in checks["own cgroups"].remedy
    assert "Delegate=yes" in checks["controllers"].remedy


def test_subordinate_ids(other: Other) -> None:
    """The ranges of this user are counted, not those of others."""
    files = {"/etc/subuid": "bob:100000:65536\nalice:200000:1000\nalice:300000:24", "/etc/subgid": "bob:100000:65536"}
    checks = other.checks(files, euid=1000)

    assert (checks["subuid"].result, checks["subuid"].found) == (OK, "1024 ids for alice")
    assert "usermod --add-subgids" in checks["subgid"].remedy


def test_user_bus(other: Other) -> None:
    """A user's systemd is the one behind XDG_RUNTIME_DIR; the machine's does not count."""
    environment = {"XDG_RUNTIME_DIR": "/run/user/1000"}

    assert other.checks(euid=1000, environment=environment)["systemd"].result == LIMITED
    assert other.checks({"/run/user/1000/bus": ""}, euid=1000, environment=environment)["systemd"].result == OK


def test_programs_missing(other: Other) -> None:
    """Programs that are not installed have a remedy."""
    other.programs = ("newuidmap",)
    checks = other.checks()

    assert checks["id map helpers"].found == "no newgidmap"
    assert (checks["criu"].result, checks["criu"].remedy) == (LIMITED, "apt install criu")


def test_criu_that_cannot(other: Other) -> None:
    """A CRIU that is too old for the kernel says so itself, and only to root; the remedy is another one."""
    other.criu = "{ echo no vDSO >&2; false; }"
    old, user = other.checks()["criu"], other.checks(euid=1000)["criu"]

    assert (old.result, "no vDSO" in old.found, "newer CRIU" in old.remedy) == (LIMITED, True, True)
    assert (user.result, "for root alone" in user.found) == (LIMITED, True)


def test_this_machine() -> None:
    """The probe answers on this machine, and leaves us in our own namespaces."""
    before = {kind: Path(f"/proc/self/ns/{kind}").readlink() for kind in ("mnt", "user", "pid")}
    checks = {check.name: check for check in examine()}

    assert "could not be tried" not in [check.found for check in checks.values()]
    assert checks["kernel"].result == OK
    assert {kind: Path(f"/proc/self/ns/{kind}").readlink() for kind in before} == before
