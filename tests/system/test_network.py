"""linux.netDevices: devices of the host that a container gets. Each test has a host network of its own."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable

import pytest

from .box import Box

pytestmark = [
    pytest.mark.skipif(shutil.which("ip") is None, reason="Debian's iproute2 is not installed"),
    pytest.mark.only("pyrunc", "runc 1.3 knows no netDevices"),
]
Bundle = Callable[..., Box]
PAIR = "ip link add one type veth peer name two && ip link set lo up"


def on_a_host_of_its_own(box: Box, before: str, after: str = "true") -> subprocess.CompletedProcess[str]:
    """Runs the container in a new network namespace, which stands for the host's."""
    box.write()
    command = shlex.join(box.runtime.argv("run", "--bundle", str(box.folder), box.id))
    script = f"{before} || exit 99; {command}; code=$?; {after}; exit $code"
    return subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=60)


def test_device_moves_with_its_addresses(bundle: Bundle) -> None:
    """The device is in the container, up, under its new name, with MTU, MAC and addresses, and gone from the host."""
    box = bundle().sh("cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address; busybox ip -o addr show eth0")
    box.linux["netDevices"] = {"one": {"name": "eth0"}}
    before = f"{PAIR} && ip addr add 10.1.2.3/24 dev one && ip link set one mtu 1400 address 02:00:00:00:00:07"

    result = on_a_host_of_its_own(box, before)

    assert result.returncode == 0, result
    assert result.stdout.startswith("1400\n02:00:00:00:00:07\n")
    assert "inet 10.1.2.3/24" in result.stdout


def test_name_is_kept(bundle: Bundle) -> None:
    """Without a name the device has the one that it had."""
    box = bundle().sh("ls /sys/class/net")
    box.linux["netDevices"] = {"one": {}}

    assert "one" in on_a_host_of_its_own(box, PAIR).stdout.split()


def test_no_such_device(bundle: Bundle) -> None:
    """A device that the host does not have is an error that names it, and leaves nothing behind."""
    box = bundle("true")
    box.linux["netDevices"] = {"nowhere0": {}}

    result = on_a_host_of_its_own(box, PAIR)

    assert result.returncode == 1
    assert "cannot move network device nowhere0 into the container (linux.netDevices[" in result.stderr
    assert "ENODEV" in result.stderr


def test_name_that_is_taken(bundle: Bundle) -> None:
    """A name that the container's namespace has already is an error, and the device stays on the host."""
    box = bundle("true")
    box.linux["netDevices"] = {"one": {"name": "lo"}}

    result = on_a_host_of_its_own(box, PAIR, "ip link show one >&2")

    assert result.returncode == 1
    assert "EEXIST" in result.stderr
    assert "one@two" in result.stderr, result.stderr
