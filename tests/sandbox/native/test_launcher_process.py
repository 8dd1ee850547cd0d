"""Who the process is, what it may, where it works and which program it runs."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pyrunc.sandbox import protocol
from pyrunc.sandbox.plan import Operation, op
from tests.sandbox.native.harness import (
    NEWNS,
    NEWPID,
    NEWUSER,
    PROC,
    Message,
    Result,
    container,
    shell,
)

Run = Callable[..., Result]
Refusal = Callable[..., Message]
USER = NEWUSER | NEWNS | NEWPID
KILL, NET_BIND, SYS_CHROOT, SYS_ADMIN = 1 << 5, 1 << 10, 1 << 18, 1 << 21


@pytest.fixture
def inside(run: Run, rootfs: Path) -> Callable[..., str]:
    """Output of a program in a container whose last operations are these."""

    def inside(operations: Sequence[Operation], *args: str, env: Sequence[str] = ("PATH=/bin",), **more: object) -> str:
        plan = container(rootfs, args, [PROC], late=operations, env=env, **more)  # type: ignore[arg-type]
        result = run(plan)
        assert result.failure is None, result.failure
        return result.output

    return inside


def status(text: str) -> dict[str, str]:
    """The fields of /proc/PID/status."""
    return {line.split(":")[0]: line.split(":", 1)[1].strip() for line in text.splitlines() if ":" in line}


STATUS = ("/bin/cat", "/proc/self/status")


# -- ids, capabilities, limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [NEWNS | NEWPID, USER], ids=["root", "user namespace"])
def test_user(inside: Callable[..., str], flags: int) -> None:
    """All ids are the user's, and the groups those given and no other."""
    found = status(inside([op("user", "", 1000, 1001, 1, ["5", "77"])], *STATUS, flags=flags))

    assert found["Uid"].split() == ["1000"] * 4
    assert found["Gid"].split() == ["1001"] * 4
    assert found["Groups"].split() == ["5", "77"]


def test_user_without_groups(inside: Callable[..., str]) -> None:
    """An empty list takes the caller's groups away."""
    old = os.getgroups()
    os.setgroups([4, 5])
    try:
        assert status(inside([op("user", "", 0, 0, 1, [])], *STATUS))["Groups"] == ""
    finally:
        os.setgroups(old)


@pytest.mark.parametrize("group", ["", "1x", "-1", "4294967295", "99999999999999999999", "root", " 1"])
def test_groups_are_strict_numbers(refusal: Refusal, group: str) -> None:
    """What is no number is no group, and never group 0 or 1 (CVE-2026-30892, CVE-2024-40635)."""
    failure = refusal(late=[op("user", "", 0, 0, 1, ["3", group])])

    assert (failure.a, failure.detail, failure.number, failure.text) == (22, protocol.DETAIL_BAD_GROUP, 1, group)


@pytest.mark.parametrize("ids", [(2**32 - 1, 0), (0, 2**32 - 1), (2**32, 0), (-1, 0)])
def test_ids_are_in_range(refusal: Refusal, ids: tuple[int, int]) -> None:
    """An id that the kernel would take for "unchanged", or cut to 0, is refused."""
    assert refusal(late=[op("user", "", *ids, 0, [])]).a == 22


def test_capabilities(inside: Callable[..., str]) -> None:
    """Each set is what was asked for, after the change to a user without privileges."""
    operations = [
        op("bounding", "", KILL | NET_BIND | SYS_CHROOT),
        op("user", "", 1000, 1000, 1, []),
        op("capabilities", "", KILL, KILL | NET_BIND, NET_BIND, phase="user"),
        op("ambient", "", NET_BIND, phase="user"),
    ]
    found = status(inside(operations, *STATUS))

    assert int(found["CapBnd"], 16) == KILL | NET_BIND | SYS_CHROOT
    assert int(found["CapInh"], 16) == NET_BIND
    assert int(found["CapAmb"], 16) == NET_BIND
    assert (
        int(found["CapPrm"], 16) == int(found["CapEff"], 16) == NET_BIND
    )  # an ordinary user's exec leaves the ambient ones


def test_no_capability_is_inherited_from_the_caller(inside: Callable[..., str]) -> None:
    """With empty sets a user has nothing at all (CVE-2022-29162)."""
    operations = [op("bounding", "", 0), op("user", "", 1, 1, 1, []), op("capabilities", "", 0, 0, 0, phase="user")]
    found = status(inside(operations, *STATUS))

    assert [int(found[name], 16) for name in ("CapBnd", "CapInh", "CapPrm", "CapEff", "CapAmb")] == [0] * 5


def test_ambient_raises_what_it_can(inside: Callable[..., str]) -> None:
    """One that may not be raised does not keep the others away, if that is tolerated."""
    operations = [
        op("user", "", 1000, 1000, 1, []),
        op("capabilities", "", 0, KILL | NET_BIND, NET_BIND, phase="user"),
        op("ambient", "", KILL | NET_BIND, phase="user", tolerate="denied_ok"),
    ]
    assert int(status(inside(operations, *STATUS))["CapAmb"], 16) == NET_BIND


def test_ambient_that_may_not_be_raised(refusal: Refusal) -> None:
    """Without the tolerance it is EPERM."""
    operations = [op("capabilities", "", KILL, KILL, 0, phase="user"), op("ambient", "", KILL, phase="user")]

    assert refusal(late=operations).a == 1


def test_no_new_privileges(inside: Callable[..., str]) -> None:
    """The bit is set."""
    assert status(inside([op("no_new_privileges", "", phase="user")], *STATUS))["NoNewPrivs"] == "1"


@pytest.mark.parametrize("flags", [NEWNS | NEWPID, USER], ids=["root", "user namespace"])
def test_oom_score_adj(inside: Callable[..., str], flags: int) -> None:
    """The value is written through the private procfs, also after a change of ids."""
    assert inside([op("oom_score_adj", "", 321)], "/bin/cat", "/proc/self/oom_score_adj", flags=flags) == "321\n"


def test_oom_score_adj_without_becoming_dumpable(run: Run, rootfs: Path) -> None:
    """A process that joins someone's namespaces stays undumpable, and sets its value nevertheless (CVE-2016-9962)."""
    probe = 'read line < /proc/self/oom_score_adj; echo "$line"'
    plan = container(rootfs, shell(probe), [PROC], late=[op("oom_score_adj", "", 77)], flags=USER)

    assert run([op("undumpable", ""), *plan]).output == "77\n"


def test_negative_oom_score_adj(run: Run, rootfs: Path) -> None:
    """Negative numbers survive the wire: the kernel takes the value, or misses the privilege (not EINVAL)."""
    plan = container(rootfs, ["/bin/cat", "/proc/self/oom_score_adj"], [PROC], late=[op("oom_score_adj", "", -500)])
    result = run(plan)

    if result.failure is None:
        assert result.output == "-500\n"
    else:
        assert result.failure.a == 13


def test_oom_score_adj_denied(run: Run, rootfs: Path) -> None:
    """Lowering without the privilege fails, or is passed over where that is tolerated."""
    for tolerate in ("", "denied_ok"):
        plan = container(
            rootfs, ["/bin/true"], [PROC], late=[op("oom_score_adj", "", -900, tolerate=tolerate)], flags=USER
        )
        failure = run(plan).failure
        assert (failure is None) == bool(tolerate)
        if failure:
            assert failure.a in (1, 13)


def test_rlimits(inside: Callable[..., str]) -> None:
    """`raise_rlimit` only raises, `rlimit` is final, and a small number of open files breaks nothing on the way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first = [op("raise_rlimit", "", resource.RLIMIT_NOFILE, 4, 4)]
    read = ("/bin/grep", "open files", "/proc/self/limits")

    assert inside([], *read, first=first).split()[3:5] == [str(soft), str(hard)]
    assert inside([op("rlimit", "", resource.RLIMIT_NOFILE, 12, 30)], *read, first=first).split()[3:5] == ["12", "30"]
    core = inside([op("rlimit", "", resource.RLIMIT_CORE, 0, -1)], "/bin/grep", "core", "/proc/self/limits")
    assert core.split()[4:6] == ["0", "unlimited"]


@pytest.mark.parametrize("operations, mask", [([], 0o027), ([op("umask", "", 0o077)], 0o077)], ids=["inherited", "set"])
def test_umask(inside: Callable[..., str], operations: list[Operation], mask: int) -> None:
    """The process has the umask of the plan, otherwise the caller's."""
    old = os.umask(0o027)
    try:
        assert int(inside(operations, "/bin/sh", "-c", "umask"), 8) == mask
    finally:
        os.umask(old)


def test_chown_stdio(run: Run, rootfs: Path) -> None:
    """Streams become the user's; /dev/null stays everybody's; -1 leaves the group."""
    before = os.stat("/dev/null")
    late = [op("chown_stdio", "", 1000, -1), op("user", "", 1000, 1000, 1, [])]

    output = run(container(rootfs, shell("stat -L -c %u:%g /proc/self/fd/1"), [PROC], late=late)).output

    assert output == "1000:0\n"
    assert (before.st_uid, before.st_gid) == (os.stat("/dev/null").st_uid, os.stat("/dev/null").st_gid)


# -- working directory -------------------------------------------------------------------------------------------------


def test_chdir(inside: Callable[..., str], rootfs: Path) -> None:
    """A missing folder is made, 0755 whatever the process's umask, and links stay inside the root."""
    (rootfs / "link").symlink_to("/made")
    operations = [op("umask", "", 0o077), op("chdir", "", "/link/a/b", phase="process")]

    assert inside(operations, "/bin/readlink", "/proc/self/cwd") == "/made/a/b\n"
    assert stat.S_IMODE((rootfs / "made/a").stat().st_mode) == 0o755


def test_chdir_refuses_procfs_tricks(refusal: Refusal) -> None:
    """A folder that is only reached by way of an open fd is none (CVE-2024-21626)."""
    assert refusal(late=[op("chdir", "", "/proc/self/fd/3", phase="process")]).a in (2, 40)
    assert refusal(late=[op("chdir", "", "/proc/self/cwd/..", phase="process")]).a == 40


def test_chdir_that_is_denied_is_tried_again(inside: Callable[..., str], run: Run, rootfs: Path) -> None:
    """A folder closed to one is entered as the other; one that was entered is not entered twice."""
    (rootfs / "home").mkdir(mode=0o700)
    os.chown(rootfs / "home", 101000, 101000)
    user = op("user", "", 1000, 1000, 1, [])
    again = op("chdir", "", "/home", phase="user", tolerate="if_denied")
    drop = op("capabilities", "", 0, 0, 0, phase="process")
    first = op("chdir", "", "/home", phase="process", tolerate="denied_ok")

    plan = container(rootfs, ["/bin/readlink", "/proc/self/cwd"], [PROC], late=[first, user, again], flags=USER)
    assert run(plan).output == "/home\n"
    assert (
        inside([op("chdir", "", "/work", phase="process"), user, again], "/bin/readlink", "/proc/self/cwd") == "/work\n"
    )
    # Nobody may: the second one fails for good.
    denied = op("chdir", "", "/home", phase="user", tolerate="if_denied")
    plan = container(rootfs, ["/bin/true"], [PROC], late=[drop, op("user", "", 0, 0, 0, []), denied])
    assert run(plan).failure is None  # there was no first one that was denied


# -- program -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, path, errno, detail",
    [
        ("nothing", "/bin:/sbin", 2, protocol.DETAIL_NOT_IN_PATH),
        ("true", "", 2, protocol.DETAIL_NOT_IN_PATH),
        ("passwd", "/etc", 2, protocol.DETAIL_NOT_IN_PATH),
        ("", "/bin", 2, protocol.DETAIL_NOT_IN_PATH),
        ("/no/such", "/bin", 2, protocol.DETAIL_NO_SUCH_PROGRAM),
        ("/etc/passwd", "/bin", 13, protocol.DETAIL_NOT_EXECUTABLE),
        ("/etc", "/bin", 21, protocol.DETAIL_IS_FOLDER),
    ],
)
def test_program_that_cannot_be_found(refusal: Refusal, name: str, path: str, errno: int, detail: int) -> None:
    """Engines tell these apart: not in PATH, no such file, not executable, a folder."""
    failure = refusal(late=[op("find_program", "", name, path)])

    assert (failure.a, failure.detail, failure.text) == (errno, detail, name)


@pytest.mark.parametrize(
    "name, path", [("echo", "/bin"), ("echo", "/no:/etc:/bin"), ("echo", ":/no"), ("./echo", ""), ("../bin/echo", "/x")]
)
def test_program_is_found(inside: Callable[..., str], name: str, path: str) -> None:
    """By PATH, where an empty element is the working directory; a name with a slash is taken as it is."""
    operations = [op("chdir", "", "/bin", phase="process"), op("find_program", "", name, path)]

    assert inside(operations, "echo", "argument") == "argument\n"


def test_program_is_looked_up_as_the_user(refusal: Refusal, rootfs: Path) -> None:
    """What the user may not execute is not found, although root could."""
    (rootfs / "bin/busybox").chmod(0o700)
    drop = [op("user", "", 1000, 1000, 1, []), op("capabilities", "", 0, 0, 0, phase="user")]

    assert refusal(late=[*drop, op("find_program", "", "/bin/busybox", "")]).detail == protocol.DETAIL_NOT_EXECUTABLE


@pytest.mark.parametrize(
    "passwd, uid, env, home",
    [
        ("a:x:1:1::/one:/sh\nb:x:2:2::/two:/sh\n", 2, [], "/two"),
        ("a:x:1:1::/one:/sh\n", 5, [], "/"),
        ("a:x:1:1:::/sh\na:x:1:1::/late:/sh\n", 1, [], "/"),
        ("a:x:01:1::/wrong:/sh\nb:x:1 :1::/wrong:/sh\n:x:+1:1::/wrong:/sh\n", 1, [], "/"),
        ("short\n:::\na:x:1:1:g:/last", 1, [], "/last"),
        ("a:x:1:1::/one:/sh\n", 1, ["HOME=/mine"], "/mine"),
        ("a:x:1:1::/one:/sh\n", 1, ["HOME=", "X=y"], "/one"),
        ("", 0, [], "/"),
        ("x" * 1048570 + "\na:x:1:1::/far:/sh\n", 1, [], "/"),
    ],
)
def test_home(inside: Callable[..., str], rootfs: Path, passwd: str, uid: int, env: list[str], home: str) -> None:
    """HOME comes from the passwd of the container, read strictly and not without end; one that is set stays."""
    (rootfs / "etc/passwd").write_text(passwd)

    output = inside([op("home", "", uid)], "/bin/busybox", "env", env=env)

    assert [line for line in output.splitlines() if line.startswith("HOME=")] == [f"HOME={home}"]
    assert ("X=y" in output) == ("X=y" in env)


@pytest.mark.parametrize("trap", ["missing", "fifo", "fed fifo", "folder", "link out", "device"])
def test_home_with_a_passwd_that_is_a_trap(inside: Callable[..., str], rootfs: Path, trap: str) -> None:
    """Nothing but a regular file inside the root is read, and nothing is waited for (CVE-2024-9676)."""
    path = rootfs / "etc/passwd"
    path.unlink()
    if trap in ("fifo", "fed fifo"):
        os.mkfifo(path)
    elif trap == "folder":
        path.mkdir()
    elif trap == "link out":
        (rootfs.parent / "passwd").write_text("root:x:0:0::/outside:/sh\n")
        path.symlink_to("../../passwd")
    elif trap == "device":
        os.mknod(path, 0o20666, os.makedev(1, 5))
    feeder = os.open(path, os.O_RDWR) if trap == "fed fifo" else -1
    if feeder >= 0:
        os.write(feeder, b"root:x:0:0::/fed:/sh\n")

    output = inside([op("home", "", 0)], "/bin/busybox", "env", env=[])

    if feeder >= 0:
        os.close(feeder)
    assert output == "HOME=/\n"


def test_exec_failure_names_the_program(run: Run, rootfs: Path) -> None:
    """A program that the kernel cannot run is told by errno and path, and init ends with 1."""
    (rootfs / "bin/broken").write_bytes(b"\x7fNOT an executable")
    (rootfs / "bin/broken").chmod(0o755)

    result = run(container(rootfs, ["/bin/broken"]))

    assert result.failure is not None
    assert (result.failure.a, result.failure.text, result.status) == (8, "/bin/broken", 1)


def test_arguments_and_environment_are_exact(inside: Callable[..., str]) -> None:
    """Empty arguments, newlines and bytes that are no UTF-8 arrive as they were."""
    args = ["/bin/sh", "-c", 'for a; do printf "[%s]" "$a"; done; printf "%s" "$ODD"', "name", "", "a\nb", "\udcff", ""]
    args[2] = args[2].replace("printf", "busybox printf")

    output = inside([], *args, env=["PATH=/bin", "ODD=line\nline"])

    assert output == "[][a\nb][\N{REPLACEMENT CHARACTER}][]line\nline"


def test_many_arguments(inside: Callable[..., str]) -> None:
    """Lists are as long as the kernel takes them."""
    assert inside([], "/bin/sh", "-c", "echo $#", "name", *["x"] * 20000) == "20000\n"
