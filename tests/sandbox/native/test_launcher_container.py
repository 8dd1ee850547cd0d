"""Whole containers: what a plan says is what a program inside finds."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunc.sandbox import protocol
from pyrunc.sandbox.plan import op, sync
from tests.sandbox.native.harness import (
    HEAD,
    NEWIPC,
    NEWNET,
    NEWNS,
    NEWPID,
    NEWUSER,
    NEWUTS,
    PROC,
    Result,
    Talk,
    container,
    execute,
    mount,
    shell,
)

Run = Callable[..., Result]
DEV = mount("/dev", "tmpfs", "mode=755", attr=2)
PTS = mount("/dev/pts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620")


def good(result: Result) -> str:
    """The output of a container that ended well."""
    assert result.failure is None, result.failure
    assert result.status == 0, result
    return result.output


@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
def test_container_sees_its_own_root_and_pid(run: Run, rootfs: Path, user: bool) -> None:
    """After the pivot / is the root file system, init is pid 1, and nothing of the host is mounted."""
    flags = NEWNS | NEWPID | NEWUTS | NEWIPC | NEWNET | (NEWUSER if user else 0)
    script = "echo $$; ls /; cat /proc/self/mountinfo"

    lines = good(run(container(rootfs, shell(script), [PROC], flags=flags))).splitlines()

    assert lines[0] == "1"
    assert lines[1:8] == ["bin", "dev", "etc", "proc", "sys", "tmp", "work"]
    assert [line.split()[4] for line in lines[8:]] == ["/", "/proc"]


def test_host_hears_of_init_before_init_speaks(run: Run, rootfs: Path) -> None:
    """SPAWNED comes before the first SYNC, however fast init is."""
    plan = [op("spawn", "", NEWPID, ""), sync("network", "", "identity"), op("exec", "", ["/bin/true"], [])]
    for _ in range(20):
        kinds = [message.kind for message in run(plan).messages]

        assert kinds == [protocol.MESSAGE_SPAWNED, protocol.MESSAGE_SYNC]


def test_init_is_a_child_of_whoever_started_the_launcher(run: Run) -> None:
    """The end of init is told to the launcher's parent: waitpid knows its exit status."""
    plan = [op("spawn", "", NEWPID, ""), op("exec", "", ["/bin/busybox", "sh", "-c", "exit 7"], [])]

    assert run(plan).status == 7


def test_names(run: Run, rootfs: Path) -> None:
    """hostname and domainname are set, an empty one too, and do not reach the host."""
    before = os.uname()
    names = [op("hostname", "", "box"), op("domainname", "", "example")]
    script = "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"

    output = good(run(container(rootfs, shell(script), [PROC], isolate=names)))

    assert output == "box\nexample\n"
    assert os.uname() == before


def test_loopback_is_up(run: Run, rootfs: Path) -> None:
    """A new network namespace has its loopback device up."""
    plan = container(
        rootfs,
        shell("cat /proc/net/dev /sys/class/net/lo/flags"),
        [PROC, mount("/sys", "sysfs")],
        isolate=[op("loopback_up", "")],
        flags=NEWNS | NEWPID | NEWNET,
    )

    assert good(run(plan)).splitlines()[-1] == "0x9"  # IFF_UP | IFF_LOOPBACK


def test_session_keyring_is_new(run: Run, rootfs: Path) -> None:
    """The caller's session keyring is not the container's."""
    plan = container(
        rootfs, ["/bin/grep", "_ses.box", "/proc/keys"], [PROC], isolate=[op("session_keyring", "", "_ses.box")]
    )

    assert "_ses.box" in good(run(plan))


@pytest.mark.parametrize("user", [False, True], ids=["root", "user namespace"])
def test_sysctl(run: Run, rootfs: Path, user: bool) -> None:
    """A sysctl of an own namespace is set although /proc/sys of the container is read-only or not there at all."""
    flags = NEWNS | NEWPID | NEWNET | (NEWUSER if user else 0)
    late = [op("readonly", "", "/proc/sys"), op("sysctl", "", "net/ipv4/ip_unprivileged_port_start", "77")]

    seen = run(
        container(rootfs, ["/bin/cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"], [PROC], late, flags=flags)
    )

    assert good(seen) == "77\n"
    assert good(run(container(rootfs, ["/bin/true"], (), late[1:], flags=flags))) == ""


def test_sysctl_that_is_missing_names_itself(run: Run, rootfs: Path) -> None:
    """A key that the kernel does not have is ENOENT at the operation."""
    plan = container(rootfs, ["/bin/true"], rootfs_phase=[op("sysctl", "", "net/ipv4/nonsense", "1")])
    failure = run(plan).failure

    assert failure is not None
    assert (failure.a, plan[failure.at].name) == (2, "sysctl")


@pytest.mark.parametrize("way", ["pivot_root", "move_root"])
def test_host_mounts_are_gone(run: Run, rootfs: Path, way: str) -> None:
    """pivot_root leaves no mount of the host; move_root leaves no full procfs or sysfs in reach."""
    output = good(run(container(rootfs, ["/bin/cat", "/proc/self/mountinfo"], [PROC], pivot=way)))

    points = [line.split()[4] for line in output.splitlines()]
    assert points == ["/", "/proc"]


@pytest.mark.parametrize("way", ["pivot_root", "move_root"])
def test_no_full_procfs_is_left_to_a_nested_user_namespace(run: Run, rootfs: Path, way: str) -> None:
    """Whoever makes a user namespace inside gets no fresh procfs around the masks: no unmasked one is left anywhere."""
    script = "busybox unshare -U -r -m -p -f mount -t proc proc /work || echo refused"
    mask = [op("mask", "", "null", "/proc/kallsyms")]

    assert good(run(container(rootfs, shell(script), [PROC], mask, pivot=way))).splitlines()[-1] == "refused"
    assert "refused" not in good(run(container(rootfs, shell(script), [PROC], pivot=way)))


def test_chroot_without_mount_namespace(run: Run, rootfs: Path) -> None:
    """`chroot` changes the root and leaves the host's mounts alone."""
    before = Path("/proc/self/mountinfo").read_text()
    into = [op("open_root", "", 0, str(rootfs)), op("chroot", "")]
    plan = [op("spawn", "", NEWPID, ""), *into, *execute("/bin/ls", "/")]

    assert good(run(plan)).split()[0] == "bin"
    assert Path("/proc/self/mountinfo").read_text() == before


def test_nothing_of_the_host_stays_open(run: Run, rootfs: Path) -> None:
    """The process has fds 0 to 2 and nothing else, whatever the caller had open (CVE-2024-21626)."""
    leak = os.open("/", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        output = good(
            run(container(rootfs, shell("for f in /proc/self/fd/*; do echo ${f##*/}; done"), [PROC]), passed=[leak])
        )
    finally:
        os.close(leak)

    # The shell expands the pattern itself: the folder that it reads is the one fd more.
    assert output.split() == ["0", "1", "2", "3"]


def test_passed_fds_are_where_they_should_be(run: Run, rootfs: Path, tmp_path: Path) -> None:
    """place_fd puts slots on their numbers although other slots lie there, and only they stay open."""
    slots = {}
    for number in range(4):
        path = tmp_path / f"passed{number}"
        path.write_text(f"content {number}\n")
        slots[f"fd{number}"] = os.open(path, os.O_RDONLY)
    places = [op("place_fd", "", f"fd{3 - index}", 3 + index) for index in range(4)]
    plan = container(rootfs, shell("cat <&3 <&4; cat <&4; cat <&5; cat <&6; echo /proc/self/fd/*"), [PROC])
    plan[-2:] = [*places, op("keep_fds", "", 4), plan[-1]]
    try:
        output = good(run(plan, slots))
    finally:
        for fd in slots.values():
            os.close(fd)

    assert output.splitlines()[:3] == ["content 2", "content 1", "content 0"]
    assert output.splitlines()[3].endswith("/fd/6 /proc/self/fd/7")


def test_signals_are_reset(run: Run, rootfs: Path) -> None:
    """Signals that the caller ignores or blocks are neither in the process."""
    old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGHUP)}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        output = good(run(container(rootfs, ["/bin/grep", "Sig[BI]", "/proc/self/status"], [PROC])))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        for number, how in old.items():
            signal.signal(number, how)

    assert [int(line.split()[1], 16) for line in output.splitlines()] == [0, 0]


def test_closed_streams_become_null(run: Run, rootfs: Path) -> None:
    """A caller without standard input gives the container /dev/null, and no slot of the plan in its place."""
    slot = os.open("/", os.O_PATH)
    try:
        output = good(
            run(container(rootfs, ["/bin/readlink", "/proc/self/fd/0"], [PROC]), {"slot": slot}, no_stdin=True)
        )
    finally:
        os.close(slot)

    assert output == "/dev/null\n"


def test_few_fds(launcher: Path, rootfs: Path) -> None:
    """A caller with a low limit of open files can have containers all the same."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    plan = container(rootfs, ["/bin/true"], [PROC], [op("mask", "", "null", "/etc/passwd")])
    resource.setrlimit(resource.RLIMIT_NOFILE, (30, hard))
    try:
        talk = Talk(launcher, plan)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert good(talk.end()) == ""


def test_end_of_host_ends_init(launcher: Path, rootfs: Path) -> None:
    """Init that waits for the host ends silently when the host has gone, and leaves no process."""
    talk = Talk(launcher, container(rootfs, ["/bin/true"], rootfs_phase=[sync("ready", "", "rootfs")]))
    talk.until("ready")
    talk.control.close()

    assert os.waitstatus_to_exitcode(os.waitpid(talk.init, 0)[1]) == 1
    os.waitpid(talk.launcher, 0)


def test_console(launcher: Path, rootfs: Path) -> None:
    """The master that the host gets talks to the process's controlling terminal, which is also /dev/console."""
    plan = container(
        rootfs,
        shell("readlink /proc/self/fd/0; stat -c %t:%T:%u:%g /dev/console; read x; echo got $x"),
        [PROC, DEV, PTS],
        [
            op("open_console", "", "master", 40, 100, 0, 5, 1),
            op("use_console", ""),
            sync("console", "", "rootfs", "master"),
        ],
    )
    talk = Talk(launcher, plan)
    message = talk.until("console")
    assert os.get_terminal_size(message.fd) == (100, 40)
    talk.go(message.at)
    output = b""
    deadline = time.monotonic() + 10
    while b"got hello" not in output and time.monotonic() < deadline:
        output += os.read(message.fd, 4096)
        if output.endswith(b":0:5\r\n"):
            os.write(message.fd, b"hello\n")
    os.close(message.fd)
    result = talk.end()

    lines = output.decode().splitlines()
    assert result.failure is None
    assert lines[0] == "/dev/pts/0"
    assert "88:0:0:5" in lines


def test_console_needs_a_devpts(run: Run, rootfs: Path) -> None:
    """/dev/pts that is a folder of the image is refused, however its ptmx looks (CVE-2025-52565)."""
    (rootfs / "dev/pts").mkdir()
    os.mknod(rootfs / "dev/pts/ptmx", 0o20666, os.makedev(5, 2))
    plan = container(rootfs, ["/bin/true"], rootfs_phase=[op("open_console", "", "master", 0, 0, 0, 0, 1)])
    failure = run(plan).failure

    assert failure is not None
    assert (failure.a, failure.detail) == (0, protocol.DETAIL_NOT_DEVPTS)


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen(4)
    return listener


def started(launcher: Path, rootfs: Path, path: Path, late: list, args: list[str]) -> Talk:  # type: ignore[type-arg]
    """A container that waits for its start, its create long over."""
    listener = listening(path)
    wait = [sync("ready", "", "start"), op("wait_start", "", "listener"), *late]
    talk = Talk(launcher, container(rootfs, args, [PROC], late=wait), {"listener": listener.fileno()})
    talk.go(talk.until("ready").at)
    listener.close()
    talk.control.close()
    os.waitpid(talk.launcher, 0)
    return talk


def test_start(launcher: Path, rootfs: Path, tmp_path: Path) -> None:
    """A created container outlives its creator and waits for GO on the socket, which ends when the program runs."""
    path = tmp_path / "start.sock"
    talk = started(launcher, rootfs, path, [], ["/bin/echo", "started"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as starter:
        starter.settimeout(10)
        starter.connect(str(path))
        assert talk.drain() == ""
        starter.send(HEAD.pack(protocol.MESSAGE_GO, 0, 0, 0))
        assert starter.recv(4096) == b""

    assert os.waitpid(talk.init, 0)[1] == 0
    assert talk.drain() == "started\n"


def test_starter_that_goes_away_ends_it(launcher: Path, rootfs: Path, tmp_path: Path) -> None:
    """Without a GO nobody else may come: init does not wait for ever, and the program does not run."""
    path = tmp_path / "start.sock"
    talk = started(launcher, rootfs, path, [], ["/bin/echo", "started"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as coward:
        coward.connect(str(path))

    assert os.waitstatus_to_exitcode(os.waitpid(talk.init, 0)[1]) == 1
    assert talk.drain() == ""


def test_failure_after_start_goes_to_the_starter(launcher: Path, rootfs: Path, tmp_path: Path) -> None:
    """What fails between GO and the program is told to whoever said GO."""
    path = tmp_path / "start.sock"
    talk = started(launcher, rootfs, path, [], ["/etc/passwd"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as starter:
        starter.settimeout(10)
        starter.connect(str(path))
        starter.send(HEAD.pack(protocol.MESSAGE_GO, 0, 0, 0))
        kind, _, number, _ = HEAD.unpack_from(starter.recv(4096))

    assert (kind, number) == (protocol.MESSAGE_FAIL, 13)
    assert os.waitstatus_to_exitcode(os.waitpid(talk.init, 0)[1]) == 1


def test_join_namespaces_of_a_process(launcher: Path, run: Run, rootfs: Path) -> None:
    """`join` by pidfd puts the new process into a container's namespaces, file system and pid numbers included."""
    first = Talk(launcher, container(rootfs, ["/bin/sleep", "100"], [PROC], isolate=[op("hostname", "", "box")]))
    thread = threading.Thread(target=first.answer_all)
    thread.start()
    thread.join(10)
    try:
        pidfd = os.pidfd_open(first.init)
        plan = [
            op("undumpable", ""),
            op("join", "", "process", NEWNS | NEWPID | NEWUTS | NEWIPC, phase="join"),
            op("spawn", "", 0, ""),
            op("chdir", "", "/work", phase="process"),
            *execute("/bin/sh", "-c", "cat /proc/sys/kernel/hostname; pwd; cat /proc/1/cmdline"),
        ]
        output = good(run(plan, {"process": pidfd}))
        os.close(pidfd)
    finally:
        os.kill(first.init, signal.SIGKILL)
        first.end()

    assert output.replace("\0", " ") == "box\n/work\n/bin/sleep 100 "


def test_join_is_put_off(run: Run, rootfs: Path) -> None:
    """A join that is denied before there is a user namespace is tried again behind it, where it says why it fails."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    plan = container(
        rootfs,
        ["/bin/true"],
        first=[op("join", "", "net", NEWNET, tolerate="later_ok", phase="join")],
        flags=NEWUSER | NEWNS | NEWPID,
    )
    plan.insert(4, op("join_late", "", "net", NEWNET, phase="identity"))
    try:
        result = run(plan, {"net": own})
    finally:
        os.close(own)

    assert good(result) == ""  # root joins at once, and the late one does nothing


@pytest.mark.parametrize("flags", [NEWNS | NEWPID, NEWUSER | NEWNS | NEWPID], ids=["root", "user namespace"])
def test_time_namespace(run: Run, rootfs: Path, flags: int) -> None:
    """init makes the namespace, also one that a user namespace owns, sets its clocks and is in it itself."""
    plan = container(rootfs, ["/bin/cat", "/proc/uptime", "/proc/self/timens_offsets"], [PROC], flags=flags)
    after = next(index for index, item in enumerate(plan) if item.name in ("sync", "spawn"))
    plan.insert(after + 1, op("time_namespace", "", "monotonic 7 8\nboottime 1000000 0\n"))

    uptime, monotonic, boottime = good(run(plan)).splitlines()
    assert float(uptime.split()[0]) > 1000000
    assert monotonic.split() == ["monotonic", "7", "8"]
    assert boottime.split() == ["boottime", "1000000", "0"]


def test_time_before_the_beginning(run: Run, rootfs: Path) -> None:
    """A clock that would be negative is the kernel's ERANGE."""
    plan = container(rootfs, ["/bin/true"], [PROC])
    plan.insert(1, op("time_namespace", "", f"boottime {-1 << 62} 0\n"))

    failure = run(plan).failure
    assert failure is not None
    assert (plan[failure.at].name, failure.a) == ("time_namespace", errno.ERANGE)


def test_spawn_into_cgroup(run: Run, rootfs: Path) -> None:
    """With a cgroup slot init is in that cgroup from its first moment."""
    base = next(
        (p for p in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists()), None
    )
    if base is None or not (base / "cgroup.controllers").exists():
        pytest.skip("needs a cgroup v2 mount")
    folder = base / f"pyrunc-test-{os.getpid()}"
    folder.mkdir()
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    plan = container(rootfs, ["/bin/grep", "^0:", "/proc/self/cgroup"], [PROC])
    plan[0] = op("spawn", "", NEWNS | NEWPID, "cgroup")
    try:
        assert good(run(plan, {"cgroup": fd})) == f"0::/{folder.name}\n"
    finally:
        os.close(fd)
        folder.rmdir()
