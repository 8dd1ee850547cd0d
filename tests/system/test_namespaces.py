"""Namespaces: new, inherited, joined; user namespaces with maps; the names and sysctls that live in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .box import Box
from .conftest import Bundle

KINDS = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup", "time": "time"}


def own(file: str) -> str:
    return os.readlink(f"/proc/self/ns/{file}")


def bare(box: Box) -> Box:
    """Nothing in it that needs a certain namespace."""
    del box.config["hostname"]
    box.without_mount("/sys", "/dev/mqueue", "/sys/fs/cgroup")
    box.linux["readonlyPaths"] = []
    return box


@pytest.mark.parametrize("kind", KINDS)
def test_new(bundle: Bundle, kind: str) -> None:
    """A listed namespace is a new one."""
    box = bundle("readlink", f"/proc/self/ns/{KINDS[kind]}")
    box.namespace(kind)

    got = box.run().out.strip()

    assert got.startswith(f"{KINDS[kind]}:[")
    assert got != own(KINDS[kind])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mount"])
def test_inherited(bundle: Bundle, kind: str) -> None:
    """A namespace that is not listed is the runtime's."""
    box = bare(bundle("readlink", f"/proc/self/ns/{KINDS[kind]}"))
    box.without_namespace(kind)

    assert box.run().out.strip() == own(KINDS[kind])


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts"])
def test_joined(bundle: Bundle, kind: str) -> None:
    """A namespace with a path is the one there."""
    first = bundle().up()
    target = os.readlink(f"/proc/{first.pid}/ns/{KINDS[kind]}")
    second = bare(bundle("readlink", f"/proc/self/ns/{KINDS[kind]}"))
    second.namespace(kind, f"/proc/{first.pid}/ns/{KINDS[kind]}")

    assert second.run().out.strip() == target


def test_pod(bundle: Bundle) -> None:
    """A second container in the network, ipc, uts and pid namespaces of a first one, with mounts of its own."""
    first = bundle().up()
    second = bare(bundle("sh", "-c", "hostname; echo $$; ps | grep -c 'sleep 1000'"))
    for kind in ("pid", "network", "ipc", "uts"):
        second.namespace(kind, f"/proc/{first.pid}/ns/{KINDS[kind]}")

    lines = second.run().lines

    assert lines[0] == "runc"
    assert int(lines[1]) > 1
    assert int(lines[2]) >= 1


def test_wrong_kind(bundle: Bundle) -> None:
    """A path to a namespace of another kind is an error."""
    box = bundle("true")
    box.namespace("ipc", "/proc/self/ns/net")

    assert box.run().status == 1


def test_no_namespace(bundle: Bundle, tmp_path: Path) -> None:
    """A path to something that is no namespace is an error."""
    box = bundle("true")
    box.namespace("ipc", str(tmp_path))

    assert box.run().status == 1


def test_missing_path(bundle: Bundle) -> None:
    """A path to nothing is an error that names it."""
    box = bundle("true")
    box.namespace("network", "/proc/0/ns/nowhere")

    result = box.run()

    assert result.status == 1
    assert "/proc/0/ns/nowhere" in result.err


@pytest.mark.unlike("crun", "takes the last")
def test_twice(bundle: Bundle) -> None:
    """A kind of namespace may be listed once."""
    box = bundle("true")
    box.linux["namespaces"] += [{"type": "ipc"}]

    assert box.run().status == 1


def test_unknown_kind(bundle: Bundle) -> None:
    """A kind of namespace that nobody knows is an error."""
    box = bundle("true")
    box.linux["namespaces"] += [{"type": "surprise"}]

    result = box.run()

    assert result.status == 1
    assert "surprise" in result.err


def test_first_process(bundle: Bundle) -> None:
    """In a new pid namespace the program is process 1, and sees nobody else."""
    box = bundle("sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'")

    lines = box.run().lines

    assert lines[0] == "1"
    assert int(lines[1]) <= 3


def test_loopback(bundle: Bundle) -> None:
    """In a new network namespace the loopback device is up, and alone."""
    box = bundle("sh", "-c", "ls /sys/class/net; ifconfig lo")

    out = box.run().out

    assert out.startswith("lo\n")
    assert "LOOPBACK" in out and "UP " in out
    assert "127.0.0.1" in out


# -- user namespaces --------------------------------------------------------------------------------------------------


def test_user_namespace(bundle: Bundle) -> None:
    """Maps are written as listed, and root inside is the mapped id outside."""
    box = bundle()
    box.user_namespace()
    box.up("cat /proc/self/uid_map /proc/self/gid_map; id -u; sleep 1000")
    box.wait_for("\n0\n")

    assert box.printed.split() == ["0", "100000", "65536"] * 2 + ["0"]
    assert os.stat(f"/proc/{box.pid}").st_uid == 100000


def test_user_namespace_owner(bundle: Bundle) -> None:
    """The container's root can use its own folders and names, and the host's root is nobody."""
    box = bundle()
    box.user_namespace()
    (box.rootfs / "of-the-host").write_text("")
    box.capabilities("CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_DAC_OVERRIDE")

    out = box.output_of("stat -c %u /of-the-host; hostname inside && hostname; chown 1000 /tmp && stat -c %u /tmp")

    assert out.split() == ["65534", "inside", "1000"]
    assert (box.rootfs / "tmp").stat().st_uid == 101000


def test_user_namespace_devices(bundle: Bundle) -> None:
    """The default devices work in a user namespace, where no node can be made."""
    box = bundle()
    box.user_namespace()

    out = box.output_of("cd /dev; stat -c '%t:%T' null zero full random urandom tty; echo x > /dev/null && echo fine")

    assert out.split() == ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "fine"]


def test_user_namespace_read_only(bundle: Bundle) -> None:
    """A read-only root and masked paths work in a user namespace."""
    box = bundle()
    box.user_namespace()
    box.config["root"]["readonly"] = True

    result = box.sh("touch /file; wc -c < /proc/keys; ls /sys/firmware").run()

    assert "Read-only file system" in result.err
    assert result.out.split() == ["0"]


def test_user_namespace_bind(bundle: Bundle, folder: Path) -> None:
    """A bind mount whose source the container's root could not reach works."""
    box = bundle()
    secret = box.folder / "closed" / "inner"
    secret.mkdir(parents=True)
    (secret / "file").write_text("content\n")
    (box.folder / "closed").chmod(0o700)
    box.user_namespace()
    box.bind(secret, "/data", "ro")
    (box.rootfs / "data").mkdir()

    assert box.output_of("cat /data/file") == "content"


def test_user_namespace_without_maps(bundle: Bundle) -> None:
    """A new user namespace needs maps."""
    box = bundle("true")
    box.namespace("user")

    assert box.run().status == 1 or box.runtime.kind == "crun"


def test_user_namespace_exec(bundle: Bundle) -> None:
    """`exec` enters the user namespace as its root."""
    box = bundle()
    box.user_namespace()
    box.up()

    result = box.exec("sh", "-c", "id -u; cat /proc/self/uid_map")

    assert result.out.split() == ["0", "0", "100000", "65536"]


def test_user_namespace_joined(bundle: Bundle) -> None:
    """A user namespace can be joined by path, with the other namespaces that it owns."""
    first = bundle()
    first.user_namespace()
    first.up()
    second = bundle("readlink", "/proc/self/ns/user")
    second.user_namespace()
    del second.linux["uidMappings"], second.linux["gidMappings"]
    for kind, file in (("user", "user"), ("network", "net")):
        second.namespace(kind, f"/proc/{first.pid}/ns/{file}")

    result = second.run()

    assert result.out.strip() == os.readlink(f"/proc/{first.pid}/ns/user"), result


# -- names ------------------------------------------------------------------------------------------------------------


def test_hostname(bundle: Bundle) -> None:
    """hostname and domainname are those of the document."""
    box = bundle("sh", "-c", "hostname; cat /proc/sys/kernel/domainname")
    box.config["hostname"] = "box.example"
    box.config["domainname"] = "example.org"

    assert box.run().lines == ["box.example", "example.org"]


def test_hostname_needs_uts(bundle: Bundle) -> None:
    """A hostname without a uts namespace of its own is an error: it would be the host's."""
    box = bundle("true")
    box.without_namespace("uts")

    result = box.run()

    assert result.status == 1
    if box.runtime.kind != "crun":
        assert "unable to set hostname without a private UTS namespace" in result.err


def test_no_hostname(bundle: Bundle) -> None:
    """Without hostname the container has the host's."""
    box = bundle("hostname")
    del box.config["hostname"]

    assert box.run().out.strip() == os.uname().nodename


# -- sysctl -----------------------------------------------------------------------------------------------------------


def test_sysctl(bundle: Bundle) -> None:
    """Sysctls of the container's own namespaces are set, and the host's are not."""
    keys = {
        "net.ipv4.ip_forward": "1",
        "kernel.shm_rmid_forced": "1",
        "kernel.msgmax": "9000",
        "fs.mqueue.msg_max": "17",
    }
    files = ["/proc/sys/" + key.replace(".", "/") for key in keys]
    before = [Path(file).read_text() for file in files]
    box = bundle("cat", *files)
    box.linux["sysctl"] = keys

    assert box.run().lines == list(keys.values())
    assert [Path(file).read_text() for file in files] == before


@pytest.mark.parametrize("key", ["kernel.pid_max", "vm.swappiness", "kernel.hostname", "fs.file-max"])
def test_sysctl_of_the_host(bundle: Bundle, key: str) -> None:
    """A sysctl that no namespace holds is an error."""
    box = bundle("true")
    box.linux["sysctl"] = {key: "1"}

    result = box.run()

    assert result.status == 1
    assert key in result.err


@pytest.mark.parametrize("key", ["net.ipv4.ip_forward", "kernel.msgmax"])
def test_sysctl_needs_the_namespace(bundle: Bundle, key: str) -> None:
    """A sysctl of a namespace that the container shares with the host is an error."""
    box = bare(bundle("true"))
    box.without_namespace("network")
    box.without_namespace("ipc")
    box.linux["sysctl"] = {key: "1"}

    assert box.run().status == 1


# -- time -------------------------------------------------------------------------------------------------------------


def test_time_offsets(bundle: Bundle) -> None:
    """timeOffsets move the clocks of a time namespace."""
    box = bundle("cat", "/proc/self/timens_offsets", "/proc/uptime")
    box.namespace("time")
    box.linux["timeOffsets"] = {"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 1000000}}

    lines = box.run().lines

    assert [line.split()[1:] for line in lines[:2]] == [["1000", "5"], ["1000000", "0"]]
    assert float(lines[2].split()[0]) > 1000000


@pytest.mark.unlike("crun", "passes over them")
def test_time_offsets_need_the_namespace(bundle: Bundle) -> None:
    """timeOffsets without a time namespace are an error."""
    box = bundle("true")
    box.linux["timeOffsets"] = {"monotonic": {"secs": 1}}

    assert box.run().status == 1
