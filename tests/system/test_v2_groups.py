"""cgroup v2: where the container's cgroup lies, who may be in it, delegation, freezing, and the end of all in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from . import host
from .box import MAP, Box, eventually
from .cgroup2 import files, foreign_group, group, need
from .conftest import Bundle

pytestmark = pytest.mark.usefixtures("cgroup2")
DELEGATED = {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}


def owned(box: Box, uid: int) -> set[str]:
    """What of the container's cgroup belongs to a user; `.` is the folder itself."""
    folder = group(box)
    return {name for name in [".", *os.listdir(folder)] if (folder / name).stat().st_uid == uid}


def writable_cgroups(box: Box) -> Box:
    box.namespace("cgroup")
    box.without_mount("/sys/fs/cgroup")
    box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "rw")
    return box


# -- where it lies -----------------------------------------------------------------------------------------------------


def test_controllers_all_the_way_down(bundle: Bundle) -> None:
    """Every controller of the machine is handed down the whole path, and the container's processes are at its end."""
    box = bundle()
    top = box.id
    box.linux["cgroupsPath"] = f"/{top}/deep/down"
    box.up()
    wanted = set((host.CGROUPS / "cgroup.controllers").read_text().split())

    for folder in (host.CGROUPS / top, host.CGROUPS / top / "deep"):
        assert set((folder / "cgroup.subtree_control").read_text().split()) == wanted
    assert files(box, "cgroup.subtree_control") == {"cgroup.subtree_control": ""}
    assert files(box, "cgroup.procs") == {"cgroup.procs": str(box.pid)}

    assert box.delete("--force").ok
    host.remove_cgroups(top)


def test_born_inside(bundle: Bundle) -> None:
    """The first process is in its cgroup from the start, and none of the runtime's was ever in there."""
    need("pids")
    box = bundle("cat", "/proc/self/cgroup")
    box.linux["resources"]["pids"] = {"limit": 1}

    result = box.run()

    assert result.out == f"0::{box.cgroup}\n", result


def test_exec_is_born_inside(bundle: Bundle) -> None:
    """A process of `exec` is cloned into the cgroup: where no more processes may be, not even its start is possible."""
    need("pids")
    box = bundle()
    box.linux["resources"]["pids"] = {"limit": 1}
    box.up("exec sleep 1000")

    result = box.exec("true")

    assert result.status == 255
    assert "EAGAIN" in result.err
    assert "pids.max" in result.err


def test_exec_with_a_cgroup_namespace(bundle: Bundle) -> None:
    """`exec` reaches a container with a cgroup namespace of its own, and sees its cgroup as the root."""
    box = bundle()
    box.namespace("cgroup")
    box.up()

    namespaces = "; ".join(f"readlink /proc/{pid}/ns/cgroup" for pid in ("self", "1"))
    result = box.exec("sh", "-c", f"cat /proc/self/cgroup; {namespaces}")

    assert result.ok, result
    assert result.lines[0] == "0::/"
    assert result.lines[1] == result.lines[2]


def test_cgroup_namespace_of_another(bundle: Bundle) -> None:
    """A container joins another's cgroup namespace, and is in its own cgroup all the same."""
    first = bundle()
    first.namespace("cgroup")
    first.up()
    second = bundle("sh", "-c", "cat /proc/self/cgroup; readlink /proc/self/ns/cgroup")
    second.namespace("cgroup", f"/proc/{first.pid}/ns/cgroup")

    result = second.run()

    assert result.lines == [f"0::/../{second.id}", os.readlink(f"/proc/{first.pid}/ns/cgroup")], result


def test_init_moved_itself(bundle: Bundle) -> None:
    """A container whose first process went into a cgroup below, as systemd does, takes `exec` there."""
    box = writable_cgroups(bundle())
    box.up("cd /sys/fs/cgroup; mkdir init; echo 1 > init/cgroup.procs; echo +pids > cgroup.subtree_control && echo up;"
           "exec sleep 1000")  # fmt: skip
    box.wait_for("up")

    result = box.exec("cat", "/proc/self/cgroup")

    assert result.lines == ["0::/init"], result


@pytest.mark.parametrize(("path", "words"), [("none", "no such file or directory"), ("../x", "bad sub cgroup path")])
@pytest.mark.soak
def test_bad_sub_cgroup(bundle: Bundle, path: str, words: str) -> None:
    """`exec --cgroup` wants a cgroup that is there, below the container's."""
    box = bundle().up()

    result = box.exec("true", flags=("--cgroup", path))

    assert result.status == 255
    assert words in result.err


# -- who may be in it --------------------------------------------------------------------------------------------------


def test_used(bundle: Bundle) -> None:
    """A cgroup with processes of others is refused, and is left alone."""
    box = bundle("true")
    with foreign_group(box.cgroup) as folder:
        result = box.run()
        assert len((folder / "cgroup.procs").read_text().split()) == 1

    assert result.status == 1
    assert "container's cgroup is not empty: 1 process(es) found" in result.err


def test_frozen(bundle: Bundle) -> None:
    """A frozen cgroup is refused at once: nothing would ever run in it."""
    box = bundle("true")
    with foreign_group(box.cgroup, member=False) as folder:
        (folder / "cgroup.freeze").write_text("1")
        result = box.run()
        assert folder.is_dir()

    assert result.status == 1
    assert "container's cgroup unexpectedly frozen" in result.err


def test_busy_parent(bundle: Bundle) -> None:
    """Below a cgroup that holds processes no limit can be set: the error says so, and names that cgroup."""
    need("memory")
    box = bundle("true")
    parent = box.cgroup
    box.linux["cgroupsPath"] = f"{parent}/inner"
    box.linux["resources"]["memory"] = {"limit": 64 << 20}

    with foreign_group(parent) as folder:
        result = box.run()

    assert result.status == 1
    assert f"{folder} holds processes of its own" in result.err
    assert "linux.resources.memory.limit" in result.err


@pytest.mark.parametrize("limits", [False, True], ids=["plain", "limits"])
@pytest.mark.soak
def test_threaded_parent(bundle: Bundle, limits: bool) -> None:
    """Below a threaded cgroup no process can be: the error says so."""
    need("memory")
    box = bundle("true")
    parent = box.cgroup
    box.linux["cgroupsPath"] = f"{parent}/inner"
    if limits:
        box.linux["resources"]["memory"] = {"limit": 64 << 20}

    with foreign_group(parent, member=False) as folder:
        (folder / "cgroup.type").write_text("threaded")
        result = box.run()

    assert result.status == 1
    assert "threaded" in result.err, result


def test_inner_group(bundle: Bundle) -> None:
    """A cgroup that hands controllers down to others may hold no process: the error says so."""
    need("pids")
    box = bundle("true")

    with foreign_group(box.cgroup, member=False) as folder:
        (folder / "below").mkdir()
        (folder / "cgroup.subtree_control").write_text("+memory +pids")
        result = box.run()
        assert folder.is_dir()

    assert result.status == 1
    assert "hands controllers to cgroups below" in result.err, result


# -- delegation --------------------------------------------------------------------------------------------------------


def test_delegation(bundle: Bundle) -> None:
    """With cgroup and user namespaces of its own and a writable mount, the container's root manages cgroups below, and
    cannot touch the limits of its own."""
    need("memory", "pids")
    box = writable_cgroups(bundle())
    box.user_namespace()
    box.linux["resources"]["memory"] = {"limit": 64 << 20}
    box.up(
        "cd /sys/fs/cgroup; mkdir a; echo 1 > a/cgroup.procs; echo +memory > cgroup.subtree_control;"
        "echo 4096000 > a/memory.low && echo below; echo max > memory.max || echo kept; exec sleep 1000"
    )
    box.wait_for("kept")

    assert "below" in box.printed
    assert files(box, "memory.max", "cgroup.subtree_control") == {
        "memory.max": str(64 << 20), "cgroup.subtree_control": "memory",
    }  # fmt: skip
    mine = owned(box, MAP["hostID"])
    listed = set(Path("/sys/kernel/cgroup/delegate").read_text().split())
    assert {".", *DELEGATED} <= mine
    assert mine - {".", "a"} == listed & set(os.listdir(group(box)))
    assert box.exec("cat", "/proc/self/cgroup").lines == ["0::/a"]


def test_exec_into_a_delegated_cgroup(bundle: Bundle) -> None:
    """`exec` of root reaches a cgroup that belongs to the container's user."""
    box = writable_cgroups(bundle())
    box.user_namespace()
    box.up()

    assert box.exec("cat", "/proc/self/cgroup").lines[-1] == "0::/"
    assert box.exec("stat", "-c", "%u:%g", "/sys/fs/cgroup").lines == ["0:0"]


def test_exec_after_init_has_moved(bundle: Bundle) -> None:
    """`exec` goes to the container's cgroup, or to the one below it that is asked for, wherever init has gone."""
    box = writable_cgroups(bundle())
    box.up("cd /sys/fs/cgroup; mkdir a b; echo 1 > a/cgroup.procs; echo moved; exec sleep 1000")
    box.wait_for("moved")

    assert box.exec("cat", "/proc/self/cgroup").lines[-1] == "0::/"
    assert box.runtime("exec", "--cgroup", "b", box.id, "cat", "/proc/self/cgroup").lines[-1] == "0::/b"


@pytest.mark.parametrize("lack", ["namespace", "mount", "write", "user"])
@pytest.mark.soak
def test_no_delegation(bundle: Bundle, lack: str) -> None:
    """Where one of the conditions is missing, the cgroup stays root's."""
    box = writable_cgroups(bundle())
    if lack != "user":
        box.user_namespace()
    if lack == "namespace":
        box.without_namespace("cgroup")
    elif lack in ("mount", "write"):
        box.without_mount("/sys/fs/cgroup")
    if lack == "write":
        box.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
    box.up()

    assert owned(box, 0) == {".", *os.listdir(group(box))}


@pytest.mark.soak
def test_delegation_to_a_user(bundle: Bundle) -> None:
    """Without a user namespace the same is for the user whom the document names."""
    box = writable_cgroups(bundle())
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.up("mkdir /sys/fs/cgroup/a && echo made; sleep 1000")
    box.wait_for("made")

    assert {".", *DELEGATED, "a"} <= owned(box, 1000)


@pytest.mark.unlike("runc", "an annotation of crun's")
def test_delegated_below(bundle: Bundle) -> None:
    """crun's annotation: processes live in a cgroup of their own below the one with the limits, which their namespace
    shows as the root; groups that they make there get controllers."""
    need("memory", "pids")
    box = writable_cgroups(bundle())
    box.user_namespace()
    box.config["annotations"] = {"run.oci.delegate-cgroup": "/payload"}
    box.linux["resources"]["memory"] = {"limit": 64 << 20}
    box.up(
        "cat /proc/self/cgroup; cd /sys/fs/cgroup/payload; mkdir a b; echo 1 > a/cgroup.procs;"
        "echo +memory > cgroup.subtree_control; echo 4096000 > b/memory.max && echo limited; exec sleep 1000"
    )
    box.wait_for("limited")

    assert box.printed.splitlines()[0] == "0::/payload"
    assert files(box, "memory.max", "cgroup.procs") == {"memory.max": str(64 << 20), "cgroup.procs": ""}
    assert box.exec("cat", "/proc/self/cgroup").lines == ["0::/payload/a"]
    assert box.delete("--force").ok
    assert not group(box).exists()


# -- freezing ----------------------------------------------------------------------------------------------------------


def test_pause(bundle: Bundle) -> None:
    """`pause` stops every process, those in cgroups below too; `exec` is refused; `resume` lets them go on."""
    box = bundle().up("while :; do echo x; sleep 0.05; done")
    box.wait_for("x")

    assert box.runtime("pause", box.id).ok
    assert box.status == "paused"
    assert "frozen 1" in files(box, "cgroup.events")["cgroup.events"].splitlines()
    length = len(box.printed)
    refused = box.exec("true")
    assert refused.status == 255
    assert "cannot exec in a paused container" in refused.err
    again = box.runtime("pause", box.id)
    assert again.status == 1
    assert len(box.printed) == length

    assert box.runtime("resume", box.id).ok
    assert box.status == "running"
    assert eventually(lambda: len(box.printed) > length)
    assert "container not paused" in box.runtime("resume", box.id).err


@pytest.mark.parametrize("ending", [pytest.param("kill", marks=pytest.mark.soak), "delete"])
def test_paused_containers_end(bundle: Bundle, ending: str) -> None:
    """A paused container dies of SIGKILL, and of `delete --force`."""
    box = bundle().up()
    assert box.runtime("pause", box.id).ok

    if ending == "kill":
        assert box.kill("KILL").ok
        box.wait("stopped")
        assert box.delete().ok
    else:
        assert box.delete("--force").ok
    assert not group(box).exists()


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["kill", "delete"])
def test_all_in_it_die(bundle: Bundle, ending: str) -> None:
    """Where the container shares the host's pid namespace, every process dies with it: those in sessions and cgroups
    of their own below it, and those that keep forking."""
    box = bundle()
    box.without_namespace("pid")
    box.up("setsid sleep 2001 & setsid sh -c 'while :; do sleep 0.01; done' & echo up; exec sleep 2002")
    box.wait_for("up")
    below = group(box) / "below"
    (below / "deep").mkdir(parents=True)
    assert eventually(lambda: len(members(group(box))) >= 3)
    (below / "deep" / "cgroup.procs").write_text(str(members(group(box))[1]))
    pids = [*members(group(box)), *members(below / "deep")]
    assert len(pids) >= 3

    if ending == "kill":
        assert box.kill("KILL").ok
        box.wait("stopped")
        assert box.delete().ok
    else:
        assert box.delete("--force").ok

    assert [pid for pid in pids if host.alive(pid)] == []
    assert not group(box).exists()


def members(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
