"""Compiles the process: settings, user, capabilities, program; shared by create and exec.

The order of the last steps is where security is won or lost; every "before" has its reason beside it.
"""

from __future__ import annotations

from pyrunc.sandbox.capabilities import masks
from pyrunc.sandbox.plan import host, op, sync

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Plan
    from pyrunc.specs.runtime import Linux, Process

SYS_ADMIN = 1 << 21
NEW_LISTENER = 1 << 3  # SECCOMP_FILTER_FLAG_NEW_LISTENER
LISTENER = 6  # its number in RENDEZVOUS
DEFAULT_UMASK = 0o022  # unset means unchanged in the specification; runc sets 0022 and images count on it
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RLIMITS = {
    "RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}  # fmt: skip


def raise_limits(plan: Plan, process: Process) -> None:
    """Hard limits are raised by the launcher: inside a new user namespace nobody may (getrlimit(2))."""
    for limit in process.rlimits:
        plan.init.append(op("raise_rlimit", limit.pointer, RLIMITS[limit.type], limit.soft, limit.hard))


def all_cpus(plan: Plan) -> None:
    """The caller's own affinity must not become the container's: all CPUs, of which its cpuset leaves some. Where a
    sandbox around us refuses that, it is as it is."""
    plan.init.append(op("cpu_affinity", "", b"", phase="identity", tolerate="denied_ok unsupported_ok"))


def session_keyring(plan: Plan, process: Process, name: str) -> None:
    """A keyring of the container's own, else it would hold the caller's keys. Kernels without keys are left alone."""
    keyring = op("session_keyring", "", name, tolerate="unsupported_ok denied_ok")
    if process.selinux_label:
        from pyrunc.sandbox.compile.labels import labelled_keyring

        labelled_keyring(plan, process, keyring)
    else:
        plan.init.append(keyring)


def process_settings(plan: Plan, process: Process, linux: Linux, facts: Facts) -> None:
    """What may be set as root and stays with the process."""
    init = plan.init
    if process.scheduler or process.io_priority or linux.personality or linux.memory_policy:
        from pyrunc.sandbox.compile.scheduling import scheduling

        scheduling(plan, process, linux)
    if process.apparmor_profile or process.selinux_label:
        from pyrunc.sandbox.compile.labels import confine

        confine(plan, process)
    if process.oom_score_adj is not None:
        # Lowering it takes privilege that a rootless caller lacks; runc passes over that too.
        tolerate = "denied_ok" if facts.rootless else ""
        init.append(op("oom_score_adj", "process.oomScoreAdj", process.oom_score_adj, tolerate=tolerate))
    umask = process.user.umask
    init.append(op("umask", "process.user.umask", DEFAULT_UMASK if umask is None else umask))
    if not process.terminal:
        init.append(op("chown_stdio", "process.user", process.user.uid, -1, tolerate="denied_ok"))  # the group stays
    # As root before as user: the user may not be able to make the folder; after as well: root may be squashed (NFS).
    init.append(op("chdir", "process.cwd", process.cwd, phase="process", tolerate="denied_ok"))
    # Limits last: a small RLIMIT_NOFILE or RLIMIT_FSIZE must not break what stands above.
    for limit in process.rlimits:
        init.append(op("rlimit", limit.pointer, RLIMITS[limit.type], limit.soft, limit.hard))


def lockdown(plan: Plan, process: Process, facts: Facts, seccomp: tuple[int, bytes] | None, set_groups: int) -> None:
    """From root of the container to the user of the process; the filter itself comes in `seal`, after the start."""
    init = plan.init
    bounding, effective, permitted, inheritable, ambient, warnings = masks(process.capabilities, facts.last_cap)
    plan.warnings += warnings
    pointer = "process.capabilities"
    # Bounding before user: dropping takes CAP_SETPCAP.
    init.append(op("bounding", pointer, bounding))
    user = process.user
    groups = [str(gid) for gid in user.additional_gids]
    init.append(op("user", "process.user", user.uid, user.gid, set_groups, groups))
    init.append(op("chdir", "process.cwd", process.cwd, phase="user", tolerate="if_denied"))
    keep = 0
    if seccomp and not process.no_new_privileges:
        # Without no_new_privs a filter can only be loaded with CAP_SYS_ADMIN; kept until then, in no set that survives
        # exec.
        keep = SYS_ADMIN
    init.append(op("capabilities", pointer, effective | keep, permitted | keep, inheritable, phase="user"))
    if not keep and ambient:
        init.append(op("ambient", pointer, ambient, phase="user", tolerate="denied_ok"))
    if process.no_new_privileges:
        init.append(op("no_new_privileges", "process.noNewPrivileges", phase="user"))
    init.append(op("home", "process.env", user.uid))
    # The program is looked up as the user and during create: engines map its error to exit codes 126 and 127.
    init.append(op("find_program", "process.args", process.args[0], search_path(process.env)))


def has_listener(seccomp: tuple[int, bytes] | None) -> bool:
    """Whether loading the filter gives a listener, which an agent waits for."""
    return seccomp is not None and bool(seccomp[0] & NEW_LISTENER)


def hand_on_console(plan: Plan, slot: str) -> None:
    """Before the filter: only sendmsg(2) can carry the terminal."""
    if not slot:
        return
    plan.init.append(sync("console", "process.terminal", "start", slot))
    plan.host += [host("await", "process.terminal", 4), host("console", "process.terminal")]
    plan.host.append(host("answer", "process.terminal", 4))


def seal(
    plan: Plan, process: Process, facts: Facts, seccomp: tuple[int, bytes] | None, phase: str = "seal"
) -> None:
    """The filter, as late as can be: what comes after it must be allowed by it."""
    if seccomp is None:
        return
    init = plan.init
    flags, program = seccomp
    init.append(op("seccomp", "linux.seccomp", flags, program, phase=phase))
    if has_listener(seccomp):
        # At once: from here on any call of init may wait for the agent, which knows of nothing yet.
        init.append(sync("listener", "linux.seccomp", phase))
        plan.host += [host("await", "linux.seccomp", LISTENER), host("listener", "linux.seccomp.listenerPath")]
        plan.host.append(host("answer", "linux.seccomp", LISTENER))
    if process.no_new_privileges:
        return
    _, effective, permitted, inheritable, ambient, _ = masks(process.capabilities, facts.last_cap)
    init.append(op("capabilities", "process.capabilities", effective, permitted, inheritable, phase=phase))
    if ambient:
        init.append(op("ambient", "process.capabilities", ambient, phase=phase, tolerate="denied_ok"))


def descriptors(plan: Plan, kept: int) -> None:
    """Everything that is not given to the process is closed by the kernel at exec (CVE-2024-21626). Before the filter,
    which need not allow the system calls for it."""
    launch = next(index for index, item in enumerate(plan.host) if item.name == "launch") if kept else 0
    for number in range(3, 3 + kept):
        plan.host.insert(launch, host("inherit", "", f"fd[{number}]", number))
        plan.init.append(op("place_fd", "", f"fd[{number}]", number))
    plan.init.append(op("keep_fds", "", kept))


def execute(plan: Plan, process: Process) -> None:
    """One value a name in the environment, the last one given: what runc does, and programs differ in which they would
    take."""
    env = {item.partition("=")[0]: item for item in process.env}
    plan.init.append(op("exec", "process.args", process.args, tuple(env.values())))


def search_path(env: tuple[str, ...]) -> str:
    """PATH of the process's environment, the last one as runc has it; the usual folders when there is none."""
    found = DEFAULT_PATH
    for item in env:
        if item.startswith("PATH="):
            found = item[5:]
    return found
