"""Containers of unprivileged users: what works for root and can work for them does, the rest is refused by name."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.rootless.conftest import UserBoxes
from tests.rootless.users import COUNT, FIRST_SUBID, User, own
from tests.system import host
from tests.system.agent import Agent
from tests.system.box import eventually
from tests.system.host import alive, children
from tests.system.runtime import default_command

pytestmark = pytest.mark.root
EVERYBODY = pytest.mark.parametrize("name", ["some", "lone"])


@EVERYBODY
def test_spec_runs(name: str, users: dict[str, User], boxes: UserBoxes) -> None:
    """The document of `spec --rootless` runs as it is: root inside is the caller outside, and nobody else is mapped."""
    user = users[name]
    box = boxes(user)

    out = box.output_of("id -u; cat /proc/self/uid_map /proc/self/gid_map; hostname; touch /made")

    assert out.split() == ["0", *["0", str(user.uid), "1"] * 2, "pyrunc"]
    assert (box.rootfs / "made").stat().st_uid == user.uid


@EVERYBODY
def test_life(name: str, users: dict[str, User], boxes: UserBoxes) -> None:
    """create, state, start, exec, ps, list, kill and delete are a user's as they are root's."""
    user = users[name]
    box = boxes(user).sh("echo started; sleep 1000")

    assert box.create().ok
    assert box.status == "created"
    assert box.printed == ""
    assert box.start().ok
    box.wait_for("started")
    assert box.exec("cat", "/proc/1/cmdline").out == "sleep\x001000\0"
    assert box.exec("sh", "-c", "exit 7").status == 7
    assert json.loads(box.runtime("ps", "--format", "json", box.id).out) == [box.pid]
    listed = box.runtime("list")
    assert box.id in listed.out and "running" in listed.out
    pid = box.pid
    assert box.kill("KILL").ok
    box.wait()
    assert not alive(pid)
    assert box.delete().ok


def test_many_ids(some: User, boxes: UserBoxes) -> None:
    """Subordinate ids are users inside, with groups, and files that these make are theirs outside."""
    box = boxes(some)
    box.many_ids()
    box.process["user"] = {"uid": 1000, "gid": 5, "additionalGids": [7, 65536]}
    (box.rootfs / "tmp").chmod(0o1777)

    assert box.output_of("id -u; id -G; touch /tmp/made").split() == ["1000", "5", "7", "65536"]
    made = (box.rootfs / "tmp/made").stat()
    assert (made.st_uid, made.st_gid) == (FIRST_SUBID + 999, FIRST_SUBID + 4)


def test_exec_in_many_ids(some: User, boxes: UserBoxes) -> None:
    """exec joins the user namespace, as any of its users and groups."""
    box = boxes(some)
    box.many_ids()
    box.up()

    out = box.exec("sh", "-c", "id -u; id -G; cat /proc/self/uid_map", flags=["-u", "3:4", "-g", "6"]).out.split()

    assert out == ["3", "4", "6", "0", str(some.uid), "1", "1", str(FIRST_SUBID), str(COUNT)]
    assert os.readlink(f"/proc/{box.pid}/ns/user") != os.readlink("/proc/self/ns/user")


@pytest.mark.parametrize("kind", ["uidMappings", "gidMappings"])
def test_one_large_map(kind: str, some: User, boxes: UserBoxes) -> None:
    """Many users with one group, and many groups with one user, are maps as good as any."""
    box = boxes(some)
    box.linux[kind] = some.maps()

    out = box.output_of(f"cat /proc/self/{kind[0]}id_map").split()

    assert out == ["0", str(some.uid), "1", "1", str(FIRST_SUBID), str(COUNT)]


def test_only_others_ids(some: User, boxes: UserBoxes) -> None:
    """Root inside may be a subordinate id: the caller still execs into the container and kills it."""
    box = boxes(some)
    some.home.chmod(0o711)
    others = [{"containerID": 0, "hostID": FIRST_SUBID, "size": COUNT}]
    box.linux["uidMappings"] = box.linux["gidMappings"] = others

    box.up()

    assert box.exec("cat", "/proc/self/uid_map").out.split() == ["0", str(FIRST_SUBID), str(COUNT)]
    assert box.kill("KILL").ok
    box.wait()


def test_another_id_than_root(lone: User, boxes: UserBoxes) -> None:
    """The one id may be an ordinary user's inside; mounts and devices are made all the same."""
    box = boxes(lone)
    for kind in ("uidMappings", "gidMappings"):
        box.linux[kind][0]["containerID"] = 1000
    box.process["user"] = {"uid": 1000, "gid": 1000}

    assert box.output_of("id -u; id -g; stat -c %F /dev/null") == "1000\n1000\ncharacter special file"


def test_files_are_closed(lone: User, boxes: UserBoxes) -> None:
    """/proc is the container's, /sys the host's and read-only, masked paths are empty, read-only paths are read-only,
    and no cgroup that is in view can be written (CVE-2023-25809)."""
    box = boxes(lone).sh(
        "cat /proc/1/comm; ls -d /sys/class; ls /sys/firmware; head -c 1 /proc/timer_list; "
        "echo x > /proc/sys/kernel/hostname; mkdir /sys/$0; "
        "for f in $(find /sys/fs/cgroup -type d); do mkdir $f/$0; done"
    )
    box.process["args"].append(box.id)

    done = box.run()

    assert done.out.split() == ["sh", "/sys/class"], done
    assert done.err.count("Read-only file system") > 2, done
    assert host.cgroup_folders(box.id) == []


def test_devices(lone: User, boxes: UserBoxes) -> None:
    """Devices are the host's nodes, bound; fifos are made; a node that the host has not is refused by name."""
    box = boxes(lone)
    box.linux["devices"] = [
        {"type": "c", "path": "/dev/null", "major": 1, "minor": 3}, {"type": "p", "path": "/dev/pipe"},
    ]  # fmt: skip
    script = "stat -c %F /dev/pipe; for n in null zero full random urandom tty; do stat -c %t:%T /dev/$n; done"
    assert box.output_of(script).split("\n") == ["fifo", "1:3", "1:5", "1:7", "1:8", "1:9", "5:0"]

    box.linux["devices"] = [{"type": "c", "path": "/dev/no-such", "major": 1, "minor": 3}]
    refused = box.run()
    assert not refused.ok
    assert "cannot bind device /dev/no-such" in refused.err and "(linux.devices[0]): ENOENT" in refused.err

    box.linux["devices"] = [{"type": "c", "path": "/dev/zero", "major": 1, "minor": 3}]
    assert "the host's node is another device" in box.run().err


def test_settings(lone: User, boxes: UserBoxes) -> None:
    """Names, sysctls of own namespaces, seccomp with and without no_new_privs, and oom_score_adj upwards are had."""
    box = boxes(lone)
    box.config["hostname"] = "mine"
    box.namespace("network")
    box.linux["sysctl"] = {"kernel.shmmax": "1000", "net.ipv4.ip_forward": "1"}
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}],
    }  # fmt: skip
    box.process["oomScoreAdj"] = 500
    script = "hostname; cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj; mkdir /x"
    for secured in (True, False):
        box.process["noNewPrivileges"] = secured
        done = box.sh(script).run()
        assert done.out.split() == ["mine", "1000", "1", "500"], done
        assert "Operation not supported" in done.err


def test_terminal(lone: User, boxes: UserBoxes, folder: Path) -> None:
    """A terminal of the container's own devpts, in its first process by way of a console socket and in exec."""
    box = boxes(lone).sh("tty; sleep 1000")
    box.process["terminal"] = True
    path = lone.home / "console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chown(path, lone.uid, lone.uid)
        listener.listen()
        done = box.run_detached("--console-socket", str(path))
        assert done.ok, done
        peer, _ = listener.accept()
        with peer:
            _, fds, _, _ = socket.recv_fds(peer, 4096, 1)
    path.unlink()
    with open(fds[0], "rb") as terminal:  # by lines: one may come in pieces
        assert terminal.readline() == b"/dev/pts/0\r\n"
    argv = box.runtime.argv("exec", "-t", box.id, "tty")
    shown = subprocess.run(
        ["script", "-qefc", " ".join(argv), "/dev/null"], capture_output=True, timeout=20, stdin=subprocess.DEVNULL
    )
    assert shown.returncode == 0
    assert shown.stdout.startswith(b"/dev/pts/")


def test_hooks(lone: User, boxes: UserBoxes) -> None:
    """Hooks run as the user, those of the container inside its user namespace."""
    box = boxes(lone)
    where = lone.home / "seen"
    box.config["hooks"] = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} $(id -u) >> {where}"]}]
        for kind in ("createRuntime", "createContainer", "poststart", "poststop")
    }

    assert box.run().ok
    try:
        seen = where.read_text().split("\n")[:-1]
        assert seen == [
            f"createRuntime {lone.uid}", "createContainer 0", f"poststart {lone.uid}", f"poststop {lone.uid}",
        ]  # fmt: skip
    finally:
        where.unlink()


def test_bind_of_unreachable_source(lone: User, boxes: UserBoxes, folder: Path) -> None:
    """A user's container cannot be used to see what the user may not: binding it is refused by name."""
    secret = folder / "secret"
    secret.mkdir(mode=0o700, exist_ok=True)
    (secret / "inner").mkdir(exist_ok=True)
    box = boxes(lone)
    box.bind(secret / "inner", "/mnt")

    refused = box.run()

    assert "cannot bind" in refused.err and "on /mnt (mounts[7]): EACCES" in refused.err
    assert f"source {secret}/inner" in refused.err


def test_killed_command_leaves_nothing(lone: User, boxes: UserBoxes) -> None:
    """A `run` that is killed takes nothing along; `delete --force` by the same user clears up."""
    box = boxes(lone).sh("sleep 1000")
    box.write()
    quiet = subprocess.DEVNULL
    running = box.runtime.spawn("run", "--bundle", str(box.folder), box.id, stdout=quiet, stderr=quiet)
    assert eventually(lambda: box.runtime("state", box.id).ok and box.status == "running")

    running.kill()
    running.wait(20)

    assert box.delete("--force").ok
    assert box.runtime("list", "-q").out == ""


def test_others_cannot_reach_it(some: User, lone: User, boxes: UserBoxes) -> None:
    """State and terminal of a user's container are closed to other users."""
    box = boxes(some).up()

    asked = lone(default_command(), "--root", str(some.home / "state"), "state", box.id)

    assert not asked.ok
    assert "EACCES" in asked.err


def test_root_reaches_it(some: User, boxes: UserBoxes, runtime: object) -> None:
    """The machine's root joins and ends a user's container."""
    box = boxes(some).up()
    root = [default_command(), "--root", str(some.home / "state")]

    inside = subprocess.run([*root, "exec", box.id, "id", "-u"], capture_output=True, text=True, timeout=20)
    ended = subprocess.run([*root, "delete", "--force", box.id], capture_output=True, text=True, timeout=20)

    assert (inside.returncode, inside.stdout) == (0, "0\n"), inside.stderr
    assert ended.returncode == 0, ended.stderr
    assert not [pid for pid in children(os.getpid()) if alive(pid)]


def test_joins_namespaces(lone: User, boxes: UserBoxes) -> None:
    """A container in another one's user and pid namespaces, where nobody may set groups, runs and is killed."""
    first = boxes(lone).up()
    second = boxes(lone)
    for namespace in second.linux["namespaces"]:
        if namespace["type"] in ("user", "pid"):
            namespace["path"] = f"/proc/{first.pid}/ns/{namespace['type']}"
    del second.linux["uidMappings"], second.linux["gidMappings"]
    second.sh("id -u; readlink /proc/1/ns/user; readlink /proc/self/ns/user; echo up; sleep 1000")

    assert second.create().ok
    assert second.start().ok
    second.wait_for("up")
    uid, *user = second.printed.split()[:3]

    assert uid == "0"
    assert user[0] == user[1] == os.readlink(f"/proc/{first.pid}/ns/user")
    assert second.kill("KILL").ok
    assert second.delete("--force").ok
    assert first.status == "running"


def test_nothing_to_end_it_by(lone: User, boxes: UserBoxes) -> None:
    """Without a cgroup and a pid namespace of its own a container's processes cannot all be found: runc's warning."""
    box = boxes(lone)
    box.without_namespace("pid")
    proc = next(mount for mount in box.config["mounts"] if mount["destination"] == "/proc")
    proc.update(type="none", source="/proc", options=["rbind", "nosuid", "nodev", "noexec"])

    done = box.run()

    assert done.ok, done
    assert ("Such configuration is strongly discouraged" in done.err) == (host.cgroup_folders(box.id) == [])


def test_statistics_without_a_cgroup(lone: User, boxes: UserBoxes) -> None:
    """`events --stats` of a container that nobody counts for has zeros, as in runc."""
    box = boxes(lone).up()

    told = json.loads(box.runtime("events", "--stats", box.id).out)

    assert told["id"] == box.id
    assert bool(host.cgroup_folders(box.id)) == bool(told["data"]["pids"])


@pytest.mark.parametrize("no_new_privileges", [False, True])
@pytest.mark.parametrize("uid", [0, 1000])
def test_seccomp_agent(some: User, boxes: UserBoxes, uid: int, no_new_privileges: bool) -> None:
    """A user's agent gets the listener, whoever in the container the filter is for, and is asked."""
    box = boxes(some).sh("sync; echo synced")
    box.many_ids()
    box.process["user"] = {"uid": uid, "gid": uid}
    box.process["noNewPrivileges"] = no_new_privileges
    path = box.folder / "agent.sock"
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(path),
        "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_NOTIFY"}],
    }

    with Agent(path) as agent:
        own(path, some.uid)
        done = box.run()

    assert done.out == "synced\n", done
    assert len(agent.calls) == 1


def test_exec_under_a_filter_that_notifies(some: User, boxes: UserBoxes) -> None:
    """A user may not fetch the listener of a process that has joined something: `exec` says so, and who may. The
    container goes on, and its own processes are answered as before."""
    box = boxes(some)
    box.many_ids()
    path = box.folder / "agent.sock"
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(path),
        "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_NOTIFY"}],
    }

    with Agent(path) as agent:
        own(path, some.uid)
        box.up("while ! test -e /tmp/go; do sleep 0.05; done; sync; echo synced; sleep 1000")
        refused = box.exec("echo", "ran")
        (box.rootfs / "tmp/go").touch()
        box.wait_for("synced")

    assert (refused.status, refused.out) == (255, "")
    assert "cannot get the seccomp listener from the container (linux.seccomp): EPERM" in refused.err
    assert "from one that `exec` adds only root may" in refused.err
    assert len(agent.states) == 1
