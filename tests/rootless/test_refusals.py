"""What an unprivileged user cannot have is refused by name, with a hint, and leaves nothing; what nobody asked for is
not missed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rootless.conftest import UserBoxes
from tests.rootless.users import COUNT, FIRST_SUBID, User, UserBox, own
from tests.system import host
from tests.system.runtime import default_command

pytestmark = pytest.mark.root
RUN = "pyrunc run failed: "


def not_delegated() -> bool:
    """Whether the users may not make cgroups here, as is usual."""
    return not any(os.stat(folder).st_mode & stat.S_IWOTH for folder in host.CGROUPS.iterdir() if folder.is_mount())


def refused(box: UserBox, *words: str) -> None:
    """`run` fails, says all of these words and has a hint."""
    done = box.run()
    assert done.status == 1, done
    for word in (RUN, *words, "\n  hint: "):
        assert word in done.err, done
    assert not box.runtime("state", box.id).ok


def groups(box: UserBox) -> None:
    box.process["user"]["additionalGids"] = [5]


def unmapped_user(box: UserBox) -> None:
    box.process["user"] = {"uid": 1, "gid": 1}


def relative_cgroup(box: UserBox) -> None:
    box.linux["cgroupsPath"] = box.id


def absolute_cgroup(box: UserBox) -> None:
    box.linux["cgroupsPath"] = f"/{box.id}"


def memory(box: UserBox) -> None:
    box.linux["resources"] = {"memory": {"limit": 1 << 26}}


def no_user_namespace(box: UserBox) -> None:
    box.without_namespace("user")
    del box.linux["uidMappings"], box.linux["gidMappings"]


def hard_limit(box: UserBox) -> None:
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1 << 30}]


def sysfs(box: UserBox) -> None:
    box.without_mount("/sys", "/sys/fs/cgroup")
    box.mount("/sys", "sysfs", "sysfs")


def proc_of_the_host(box: UserBox) -> None:
    box.without_namespace("pid")


def real_disk(box: UserBox) -> None:
    box.mount("/mnt", "ext4", "/dev/null")


def unmapped_option(box: UserBox) -> None:
    box.mount("/mnt", "tmpfs", "tmpfs", "uid=5")


def sysctl_of_the_host(box: UserBox) -> None:
    box.linux["sysctl"] = {"kernel.domainname": "x"}


def others_id(box: UserBox) -> None:
    box.linux["uidMappings"][0]["hostID"] = 0


def others_group(box: UserBox) -> None:
    box.linux["gidMappings"][0]["hostID"] = 0


def id_map(box: UserBox) -> None:
    box.linux["uidMappings"].append({"containerID": 1, "hostID": FIRST_SUBID, "size": COUNT})


REFUSED: list[tuple[Callable[[UserBox], None], tuple[str, ...]]] = [
    (groups, ("(process.user.additionalGids)", "cannot set any additional groups in a rootless container")),
    (unmapped_user, ("cannot become user 1 group 1 (process.user): EINVAL",)),
    (relative_cgroup, ("(linux.cgroupsPath)", "rootless needs no limits + no cgrouppath when no permission")),
    (absolute_cgroup, ("unable to apply cgroup configuration: cannot make cgroup", "(linux.cgroupsPath): EACCES")),
    (memory, ("(linux.resources)", "rootless needs no limits + no cgrouppath when no permission")),
    (no_user_namespace, ("cannot spawn init with new", "(linux.namespaces): EPERM")),
    (hard_limit, ("cannot raise RLIMIT_NOFILE soft 1024 hard 1073741824 (process.rlimits[0]): EPERM",)),
    (sysfs, ("cannot mount sysfs on /sys (mounts[5]): EPERM",)),
    (proc_of_the_host, ("cannot mount proc on /proc (mounts[0]): EPERM",)),
    (real_disk, ("cannot mount ext4 on /mnt", "(mounts[7]): EPERM")),
    (unmapped_option, ("the file system refused option uid=5", "(mounts[7])")),
    (sysctl_of_the_host, ("cannot set sysctl kernel.domainname to 'x' (linux.sysctl.kernel.domainname): EACCES",)),
    (others_id, ("cannot write the map with newuidmap (linux.uidMappings): newuidmap: ",)),
    (others_group, ("cannot write the map with newgidmap (linux.gidMappings): newgidmap: ",)),
    (id_map, ("cannot write the map with newuidmap (linux.uidMappings): newuidmap: ",)),
]


@pytest.mark.parametrize(("ask", "words"), REFUSED, ids=[ask.__name__ for ask, _ in REFUSED])
def test_refused(ask: Callable[[UserBox], None], words: tuple[str, ...], lone: User, boxes: UserBoxes) -> None:
    """The message names the operation, the place in the document and the reason; a hint follows."""
    if "cgroup" in ask.__name__ + words[-1] and not not_delegated():
        pytest.skip("everybody may make cgroups here")
    box = boxes(lone)
    ask(box)
    refused(box, *words)


def test_somebody_elses_range(some: User, boxes: UserBoxes) -> None:
    """Only the ranges of /etc/subuid are the user's: one id beyond is refused with newuidmap's own words."""
    box = boxes(some)
    box.linux["uidMappings"] = [{"containerID": 0, "hostID": FIRST_SUBID, "size": COUNT + 1}]

    refused(box, "newuidmap: uid range", "not allowed")


def test_without_helpers(some: User, boxes: UserBoxes, folder: Path) -> None:
    """Where newuidmap is missing it is asked for by name; the own id needs no help."""
    box = boxes(some)
    host.mount("/dev/null", "/usr/bin/newuidmap", host.MS_BIND)
    try:
        assert box.run().ok
        box.many_ids()
        refused(box, "cannot write the map with newuidmap (linux.uidMappings): EACCES", "package uidmap")
    finally:
        host.unmount("/usr/bin/newuidmap")


def test_no_cgroup_when_none_is_asked_for(lone: User, boxes: UserBoxes) -> None:
    """A document without limits runs where its user is; device rules, which need no cgroup, are no obstacle."""
    if not not_delegated():
        pytest.skip("everybody may make cgroups here")
    box = boxes(lone)
    box.without_mount("/sys/fs/cgroup")
    box.without_namespace("cgroup")
    box.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}

    assert box.output_of("cat /proc/self/cgroup") == Path("/proc/self/cgroup").read_text().strip()


@pytest.mark.parametrize("command", ["pause", "resume", "update", "exec"])
def test_commands_that_need_a_cgroup(command: str, lone: User, boxes: UserBoxes) -> None:
    """pause, update and exec --cgroup of a container without a cgroup say so; the container goes on."""
    if not not_delegated():
        pytest.skip("everybody may make cgroups here")
    box = boxes(lone).up()
    words = {
        "pause": ([], "cgroup not exist"),
        "resume": ([], "container not paused"),
        "update": (["--memory", "64m"], "the container has no memory cgroup"),
        "exec": (["--cgroup", "/below"], "cgroup not exist"),
    }
    flags, text = words[command]

    done = box.runtime(command, *flags, box.id, *(["true"] if command == "exec" else []))

    assert not done.ok
    assert text in done.err
    assert box.status == "running"


@pytest.mark.parametrize("by", ["flag", "document"])
def test_exec_with_groups(by: str, lone: User, boxes: UserBoxes) -> None:
    """Groups that cannot be set are refused, whether a flag or a process document asks for them."""
    box = boxes(lone).up()
    document = box.folder / "process.json"
    process = {"user": {"uid": 0, "gid": 0, "additionalGids": [5]}, "args": ["id"], "cwd": "/", "env": ["PATH=/bin"]}
    document.write_text(json.dumps(process))

    if by == "flag":
        done = box.exec("id", flags=["-g", "5"])
    else:
        done = box.runtime("exec", "--process", str(document), box.id)

    assert not done.ok
    assert "cannot set any additional groups in a rootless container" in done.err


def test_lowered_oom_score_is_passed_over(lone: User, boxes: UserBoxes) -> None:
    """A score below the caller's is beyond a user, and as runc has it no reason to fail."""
    box = boxes(lone)
    box.process["oomScoreAdj"] = -500
    own_score = Path("/proc/self/oom_score_adj").read_text().strip()

    assert box.output_of("cat /proc/self/oom_score_adj") == own_score


# -- the root folder --------------------------------------------------------------------------------------------------


def test_root_below_runtime_dir(lone: User, boxes: UserBoxes) -> None:
    """Without --root containers are kept in $XDG_RUNTIME_DIR/pyrunc, closed to others and safe from cleaners."""
    box = boxes(lone)
    box.sh("exit 3").write()
    runtime = lone.home / "runtime"
    runtime.mkdir(mode=0o700)
    own(runtime, lone.uid)
    try:
        done = lone(
            default_command(), "run", "--bundle", str(box.folder), box.id, env={"XDG_RUNTIME_DIR": str(runtime)}
        )
        assert done.status == 3, done
        found = (runtime / "pyrunc").stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (lone.uid, 0o1700)
    finally:
        subprocess.run(["rm", "-r", runtime], check=True)


@pytest.mark.parametrize("words", ["run", "create", "list", "state x", "delete x", "exec x id", "kill x", "start x"])
def test_root_that_is_not_ours(words: str, lone: User, boxes: UserBoxes) -> None:
    """Without XDG_RUNTIME_DIR the root folder is /run/pyrunc, and where that is not writable it is said so."""
    default = Path("/run/pyrunc")
    if not default.exists() and words != "run" and words != "create":
        pytest.skip("there is no /run/pyrunc that could be closed")
    box = boxes(lone)
    box.write()
    making = ["--bundle", str(box.folder), "x"] if words in ("run", "create") else []

    done = lone(default_command(), *words.split(), *making)

    assert done.status != 0
    assert "/run/pyrunc" in done.err and "EACCES: permission denied" in done.err
    assert "hint: /run/pyrunc is not yours: set XDG_RUNTIME_DIR" in done.err
