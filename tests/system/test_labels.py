"""AppArmor and SELinux, where the kernel runs them; and what is said where it does not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Bundle

APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
SELINUX = Path("/sys/fs/selinux/enforce")
PROFILE = "pyrunc-test-profile"
RULES = f"profile {PROFILE} flags=(attach_disconnected) {{ file, capability, deny /etc/passwd r, }}\n"
CURRENT = "cat /proc/self/attr/apparmor/current; cat /etc/passwd"


@pytest.fixture
def profile(machine: None, tmp_path: Path) -> Iterator[str]:
    """A profile that forbids one file."""
    if not APPARMOR.exists() or APPARMOR.read_text() != "Y\n":
        pytest.skip("this kernel runs no AppArmor")
    if shutil.which("apparmor_parser") is None:
        pytest.skip("Debian's apparmor is not installed")
    mounted = Path("/sys/kernel/security/apparmor").exists()
    if not mounted:
        subprocess.run(["mount", "-t", "securityfs", "securityfs", "/sys/kernel/security"], check=True)
    source = tmp_path / "profile"
    source.write_text(RULES)
    subprocess.run(["apparmor_parser", "-K", "--replace", source], check=True)
    yield PROFILE
    subprocess.run(["apparmor_parser", "--remove", source], check=True)
    if not mounted:
        subprocess.run(["umount", "/sys/kernel/security"], check=True)


def test_profile(bundle: Bundle, profile: str) -> None:
    """init and what `exec` runs are confined by the profile from their first instruction."""
    box = bundle()
    box.process["apparmorProfile"] = profile

    inside = box.up().exec("sh", "-c", CURRENT)

    assert inside.out == f"{profile} (enforce)\n"
    assert "ermission denied" in inside.err
    assert Path(f"/proc/{box.pid}/attr/apparmor/current").read_text() == f"{profile} (enforce)\n"


def test_profile_of_exec(bundle: Bundle, profile: str) -> None:
    """--apparmor confines this process alone, whoever it runs as."""
    box = bundle().up()

    for user in ("0", "1000"):
        inside = box.exec("sh", "-c", CURRENT, flags=["--user", user, "--apparmor", profile])
        assert inside.out == f"{profile} (enforce)\n"
    assert box.exec("cat", "/proc/self/attr/apparmor/current").out == "unconfined\n"


def test_profile_in_a_user_namespace(bundle: Bundle, profile: str) -> None:
    """The same with a user namespace."""
    box = bundle("sh", "-c", CURRENT)
    box.user_namespace()
    box.process["apparmorProfile"] = profile

    assert box.run().out == f"{profile} (enforce)\n"


def test_profile_that_is_not_loaded(bundle: Bundle, profile: str) -> None:
    """An unknown profile is an error of `create`."""
    box = bundle("true")
    box.process["apparmorProfile"] = "no-such-profile"

    result = box.create()

    assert result.status == 1
    assert "no-such-profile" in result.err


@pytest.mark.skipif(APPARMOR.exists(), reason="this kernel has AppArmor")
@pytest.mark.unlike("runc", "writes the file all the same")
def test_no_apparmor(bundle: Bundle) -> None:
    """Without AppArmor a profile is an error, but `unconfined` is what everything is."""
    box = bundle("true")
    box.process["apparmorProfile"] = "docker-default"
    assert box.run().status == 1

    box.process["apparmorProfile"] = "unconfined"
    assert box.run().ok


@pytest.mark.skipif(SELINUX.exists(), reason="this kernel runs SELinux")
def test_no_selinux(bundle: Bundle) -> None:
    """Without SELinux a label is an error, of the document and of `exec`, in runc's words."""
    words = "selinux label is specified in config, but selinux is disabled or not supported"
    box = bundle("true")
    box.process["selinuxLabel"] = "system_u:system_r:container_t:s0"
    refused = box.run()
    of_exec = bundle().up().exec("true", flags=["--process-label", "system_u:system_r:container_t:s0"])

    assert not refused.ok and not of_exec.ok
    if "crun" not in refused.args[0]:
        assert words in refused.err and words in of_exec.err


@pytest.mark.skipif(not SELINUX.exists(), reason="this kernel runs no SELinux")
def test_labels(bundle: Bundle) -> None:
    """Process, session keyring and mounts have the labels of the document, init's and that of `exec`."""
    label = Path("/proc/self/attr/current").read_text().rstrip("\0\n")
    if label == "kernel":
        pytest.skip("no policy is loaded")
    box = bundle()
    box.process["selinuxLabel"] = box.linux["mountLabel"] = label

    inside = box.up().exec("cat", "/proc/self/attr/current")

    assert inside.out.rstrip("\0\n") == label
    assert Path(f"/proc/{box.pid}/attr/current").read_text().rstrip("\0\n") == label
