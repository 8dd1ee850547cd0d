"""What the machine's answers mean for containers: one function a subject, each row with what to do about it. Pure over
a `Machine`; a remedy is a command or a setting wherever there is one."""

from __future__ import annotations

import errno

from pyrunc.sandbox.doctor import LIMITED, MISSING, OK, Check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyrunc.sandbox.doctor.machine import Machine

NAMESPACES = {
    "mount": ("a root file system of its own", True), "pid": ("its own processes in view", True),
    "user": ("root inside that is nobody outside", False), "network": ("its own devices and addresses", False),
    "uts": ("a hostname of its own", False), "ipc": ("its own queues and shared memory", False),
    "cgroup": ("its own cgroup as the top of the tree", False), "time": ("linux.timeOffsets", False),
}  # fmt: skip
# Calls of the launcher and of init, and the kernel that has brought them.
NEEDED = {"open_tree": "5.2", "fsopen": "5.2", "clone3": "5.3", "pidfd_open": "5.3", "openat2": "5.6"}
HELPFUL = {
    "pidfd_getfd": ("5.6", "seccomp notification"), "close_range": ("5.9", "closing what a program shall not get"),
    "mount_setattr": ("5.12", "recursive read-only and id-mapped mounts"),
}  # fmt: skip
CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
FILE_SYSTEMS = {"proc": True, "tmpfs": True, "devpts": False, "mqueue": False, "sysfs": False, "overlay": False}


def kernel(machine: Machine) -> Iterable[Check]:
    """The system calls that no container can do without, and those that some features take."""
    lacking = [name for name in NEEDED if machine.errno(f"call {name}") == errno.ENOSYS]
    forbidden = [name for name in NEEDED if machine.errno(f"call {name}") == errno.EPERM]
    if machine.euid and machine.errno("namespace user"):
        forbidden = []  # no wonder: it is the user namespace that is missing, which has its own row
    remedy = f"a kernel from {max((NEEDED[name] for name in lacking), default='5.6')} on"
    if forbidden:
        remedy = "something around us (a container's seccomp profile) forbids them: allow them there"
    found = f"Linux {machine.kernel}" + "".join(f", no {name}" for name in lacking + forbidden)
    result = MISSING if lacking or forbidden else OK
    yield Check("kernel", result, found, "mounts and processes are made by these system calls", remedy, needed=True)
    for name, (version, use) in HELPFUL.items():
        there = machine.errno(f"call {name}") not in (errno.ENOSYS, errno.EPERM)
        shown = "there" if there else "not there, or forbidden"
        yield Check(f"system call {name}", OK if there else LIMITED, shown, use, f"a kernel from {version} on")


def namespaces(machine: Machine) -> Iterable[Check]:
    """Each kind, tried."""
    for name, (use, needed) in NAMESPACES.items():
        number = machine.errno(f"namespace {name}")
        if number <= 0:
            result, found, remedy = (OK, "can be made", "") if number == 0 else (LIMITED, "could not be tried", "")
        else:
            found = f"cannot be made: {errno.errorcode.get(number, str(number))}"
            result, remedy = MISSING, _namespace_remedy(machine, number)
        yield Check(f"{name} namespace", result, found, use, remedy, needed)


def _namespace_remedy(machine: Machine, number: int) -> str:
    if machine.read("/proc/sys/kernel/unprivileged_userns_clone") == "0" and machine.euid:
        return "sysctl kernel.unprivileged_userns_clone=1"
    if machine.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" and machine.euid:
        return "an AppArmor profile with `userns,` for pyrunc, or sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    if machine.read("/proc/sys/user/max_user_namespaces") == "0":
        return "sysctl user.max_user_namespaces=15000"
    if number == errno.ENOSPC:
        return "raise the limits below /proc/sys/user"
    if number == errno.EINVAL:
        return "a kernel that is built with it (CONFIG_*_NS)"
    return "root, or leave to do so from whatever confines us (a container, a seccomp profile)"


def cgroups(machine: Machine) -> Iterable[Check]:
    """Which hierarchies there are, which controllers, and whether we may make cgroups."""
    layout = machine.layout
    remedy = "mount -t cgroup2 none /sys/fs/cgroup"
    shown = {"v2": "version 2", "v1": "version 1", "hybrid": "hybrid: controllers on version 1 beside a version 2"}
    found = shown.get(layout.mode, "none is mounted")
    result = {"v2": OK, "none": MISSING}.get(layout.mode, LIMITED)
    if layout.mode in ("v1", "hybrid"):
        remedy = "boot with systemd.unified_cgroup_hierarchy=1: pressure, oom groups and delegation need version 2"
    yield Check("cgroups", result, found, "limits, statistics, and ending a container as a whole", remedy)

    on_v1 = {"blkio" if name == "io" else name: name for name in CONTROLLERS}
    there = {on_v1[name] for one in layout.hierarchies for name in one.controllers if name in on_v1}
    if layout.unified is not None:
        there |= set(layout.unified.controllers) & set(CONTROLLERS)
    lacking = [name for name in CONTROLLERS if name not in there]
    remedy = "Delegate=yes for this user's service: systemctl edit user@.service" if machine.euid else (
        "a kernel with them, without cgroup_disable= on its command line"
    )  # fmt: skip
    found = " ".join(sorted(there)) + (f"; not {' '.join(lacking)}" if lacking else "")
    yield Check("controllers", LIMITED if lacking else OK, found or "none", "linux.resources", remedy)

    if layout.mode != "none":
        found = "we may make some" if layout.writable else "we may make none"
        remedy = "start in a delegated scope: systemd-run --user --scope -p Delegate=yes"
        yield Check("own cgroups", OK if layout.writable else LIMITED, found, "limits without root", remedy)
    pressure = machine.exists("/proc/pressure/memory")
    yield Check(
        "pressure", OK if pressure else LIMITED, "measured" if pressure else "not measured", "psi in `pyrunc events`",
        "boot with psi=1, on a kernel with CONFIG_PSI",
    )  # fmt: skip


def mounts(machine: Machine) -> Iterable[Check]:
    known = {line.split()[-1] for line in machine.read("/proc/filesystems").splitlines() if line}
    lacking = [name for name in FILE_SYSTEMS if name not in known]
    fatal = any(FILE_SYSTEMS[name] for name in lacking)
    found = "all known" if not lacking else f"not known: {' '.join(lacking)}"
    use = "the file systems of nearly every container"
    result = MISSING if fatal else LIMITED if lacking else OK
    yield Check("file systems", result, found, use, f"modprobe {' '.join(lacking)}", needed=fatal)

    number = machine.errno("idmapped mount")
    found = "work on /" if number == 0 else f"not on /: {errno.errorcode.get(number, 'not tried')}"
    remedy = "a kernel from 5.12 on and a file system that takes them (ext4, xfs, btrfs; tmpfs: 6.3)"
    if machine.euid:
        remedy = "root of the machine: file systems let nobody else map their ids"
    yield Check(
        "id-mapped mounts", OK if number == 0 else LIMITED, found, "mounts[].uidMappings and gidMappings", remedy
    )


def seccomp(machine: Machine) -> Iterable[Check]:
    actions = machine.read("/proc/sys/kernel/seccomp/actions_avail").split()
    found = " ".join(actions) or "none"
    remedy = "a kernel with CONFIG_SECCOMP_FILTER"
    yield Check(
        "seccomp", OK if actions else MISSING, found, "linux.seccomp: fewer system calls, smaller attack", remedy
    )
    notify = "user_notif" in actions and machine.errno("seccomp new_listener") == errno.EFAULT
    shown = "can be asked" if notify else "cannot be asked"
    yield Check("seccomp agents", OK if notify else LIMITED, shown, "SCMP_ACT_NOTIFY", "a kernel from 5.6 on")
    known = [name for name in ("tsync", "log", "spec_allow", "wait_killable_recv") if
             machine.errno(f"seccomp {name}") == errno.EFAULT]  # fmt: skip
    result = OK if len(known) == 4 else LIMITED
    yield Check("seccomp flags", result, " ".join(known) or "none", "linux.seccomp.flags", "a kernel from 5.19 on")


def modules(machine: Machine) -> Iterable[Check]:
    active = machine.read("/sys/kernel/security/lsm").split(",")
    for name, use in (("apparmor", "process.apparmorProfile"), ("selinux", "process.selinuxLabel and mountLabel")):
        there = name in active or machine.read(f"/sys/module/{name}/parameters/enabled").startswith(("Y", "1"))
        remedy = f"boot with lsm=...,{name}, on a kernel that has it"
        yield Check(name, OK if there else LIMITED, "active" if there else "not active", use, remedy)


def rootless(machine: Machine) -> Iterable[Check]:
    """What containers without root take; shown to root as well, who may be asked to provide it."""
    helpers = [name for name in ("newuidmap", "newgidmap") if not machine.program(name)]
    found = "there" if not helpers else f"no {' and no '.join(helpers)}"
    use = "more than one user in a rootless container"
    yield Check("id map helpers", LIMITED if helpers else OK, found, use, "apt install uidmap (shadow-utils elsewhere)")
    if machine.euid == 0:
        return
    for kind in ("subuid", "subgid"):
        ranges = [line for line in machine.read(f"/etc/{kind}").splitlines() if line.startswith(f"{machine.user}:")]
        total = sum(int(line.rpartition(":")[2]) for line in ranges if line.rpartition(":")[2].isdigit())
        remedy = f"usermod --add-{kind}s 100000-165535 {machine.user}"
        yield Check(kind, OK if total else LIMITED, f"{total} ids for {machine.user}", use, remedy)
    runtime = machine.environment.get("XDG_RUNTIME_DIR", "")
    usable = bool(runtime) and machine.exists(runtime)
    remedy = "log in by systemd-logind (loginctl enable-linger), or give --root"
    use = "where the state of rootless containers is kept"
    yield Check("XDG_RUNTIME_DIR", OK if usable else LIMITED, runtime or "not set", use, remedy)


def services(machine: Machine) -> Iterable[Check]:
    runtime = machine.environment.get("XDG_RUNTIME_DIR", "")
    sockets = ["/run/systemd/private", "/run/dbus/system_bus_socket"]
    if machine.euid:
        sockets = [f"{runtime}/bus", f"{runtime}/systemd/private"] if runtime else []
    reached = next((path for path in sockets if machine.exists(path)), "")
    remedy = "a machine that systemd has booted; for users a login session, with dbus-user-session"
    use = "--systemd-cgroup"
    yield Check("systemd", OK if reached else LIMITED, reached or "cannot be reached", use, remedy)
    yield _criu(machine)


def _criu(machine: Machine) -> Check:
    """CRIU knows whether it can work with this kernel, but tells nobody but root."""
    path, use = machine.program("criu"), "checkpoint and restore"
    if not path:
        return Check("criu", LIMITED, "not installed", use, "apt install criu")
    if machine.euid:
        return Check("criu", LIMITED, f"{path}, for root alone", use, "root of the machine")
    # The configuration of the machine might have it write a log where we stand.
    if problem := machine.complaint(path, "check", "--no-default-config"):
        remedy = "a newer CRIU: of a newer release of the distribution, or from https://criu.org (Debian 12 has 3.17)"
        return Check("criu", LIMITED, f"{path}, which cannot work with this kernel: {problem}", use, remedy)
    return Check("criu", OK, path, use)


def programs(machine: Machine) -> Iterable[Check]:
    """What programs in containers may ask the kernel for."""
    state = machine.read("/proc/sys/kernel/io_uring_disabled")
    number = machine.errno("call io_uring_setup")
    there = number not in (errno.ENOSYS, errno.EPERM) and state in ("", "0")
    found = "can be used" if there else "switched off" if state in ("1", "2") else "not there, or forbidden"
    yield Check("io_uring", OK if there else LIMITED, found, "databases and servers that want it",
                "sysctl kernel.io_uring_disabled=0, where you trust what runs")  # fmt: skip
    folder = "/proc/sys/fs/binfmt_misc"
    others = [name.removeprefix("qemu-") for name in machine.names(folder) if name.startswith("qemu-")]
    found = " ".join(others) or "this machine's programs only"
    yield Check("foreign programs", OK if others else LIMITED, found, "images of another architecture",
                "apt install qemu-user-static binfmt-support")  # fmt: skip


SUBJECTS: tuple[Callable[[Machine], Iterable[Check]], ...] = (
    kernel, namespaces, cgroups, mounts, seccomp, modules, rootless, services, programs,
)  # fmt: skip
