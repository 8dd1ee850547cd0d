"""`exec`: one more process in a running container. Hot path.

What config.json said at create (its snapshot) holds for every process of the container; the caller's options override
it.
"""

from __future__ import annotations

import posix

from pyrunc.bundle import complete_seccomp, read_config, read_document
from pyrunc.options import check_console
from pyrunc.pid_file import write_pid_file
from pyrunc.sandbox.compile.execute import Target, compile_execute
from pyrunc.sandbox.compile.namespaces import keeps_groups
from pyrunc.sandbox.facts import read_facts
from pyrunc.sandbox.launch import Launch
from pyrunc.specs.errors import Failure, Invalid, PyruncError
from pyrunc.specs.runtime import decode_spec
from pyrunc.store import Store, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.options import ExecOptions
    from pyrunc.record import Record
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Operation, Plan
    from pyrunc.specs.runtime import Process, Spec
    from pyrunc.specs.sections import IntelRdt

SIGKILL = 9
NAMESPACES = (
    ("user", 0x10000000), ("mnt", 0x00020000), ("pid", 0x20000000), ("net", 0x40000000), ("uts", 0x04000000),
    ("ipc", 0x08000000), ("cgroup", 0x02000000), ("time", 0x00000080),
)  # fmt: skip


def execute(root: str, id: str, options: ExecOptions) -> int:
    """Runs the process. Detached: returns 0 once it runs. In the foreground this process becomes the waiter and does
    not return. Raises PyruncError when it could not be run."""
    store = Store(root)
    record = store.load(id)
    status = store.status(record)
    if status == "stopped":
        raise PyruncError("cannot exec in a stopped container")
    if status == "paused" and not options.ignore_paused:
        raise PyruncError("cannot exec in a paused container (use --ignore-paused to override)")
    joining = Joining(store, record, options)
    if options.detach:
        joining.carry_out()
        return 0
    from pyrunc.waiter import become_waiter, block_signals

    block_signals()
    joining.carry_out()
    become_waiter(joining.launch.pid, joining.master, not options.no_subreaper)


class Joining:
    """One process on its way into a container."""

    def __init__(self, store: Store, record: Record, options: ExecOptions) -> None:
        spec = decode_spec(read_config(f"{store.path(record.id)}/config.json"))
        complete_seccomp(spec)
        self.options = options
        self.master = -1
        process = chosen_process(spec, options)
        check_console(process.terminal, options.detach, options.console_socket)
        facts = read_facts()
        seccomp = None
        if spec.linux.seccomp is not None or "run.oci.seccomp_bpf_data" in spec.annotations:
            from pyrunc.sandbox.seccomp import filter_of

            seccomp = filter_of(spec)
        kept = options.preserve_fds
        if b"LISTEN_FDS" in posix.environ:
            from pyrunc.activation import hand_on

            kept += hand_on(process)
        target = target_of(record, process, facts, options)
        target.set_groups = target.set_groups and not keeps_groups(spec)
        plan = compile_execute(process, spec.linux, target, facts, seccomp, kept)
        if spec.linux.intel_rdt is not None:
            _enter_resctrl(plan, spec.linux.intel_rdt, record.id)
        self.record = record
        self.spec = spec
        handlers = {
            "open_process": self._open_process, "console": self._console, "listener": self._send_listener,
        }  # fmt: skip
        self.launch = Launch(plan, handlers)
        if options.trace is not None:
            from pyrunc.sandbox.trace import Trace

            self.launch.trace = Trace(plan, options.trace)

    def carry_out(self) -> None:
        """Until exec has happened; ends what it started when something fails."""
        receivers = None
        if self.options.pidfd_socket:
            from pyrunc.pidfd import Receivers

            receivers = Receivers(self.options.pidfd_socket)
        try:
            self.launch.run()
            if receivers is not None:
                receivers.send(self.launch.pid, "setns")
            self.launch.finish()
            if self.options.pid_file:
                write_pid_file(self.options.pid_file, self.launch.pid)
        except BaseException as error:
            self.launch.close()
            if self.launch.pid:
                _end(self.launch.pid)
            if isinstance(error, PyruncError):
                error.prefix = "unable to start container process: "
                error.plan, error.step = self.launch.plan, self.launch.current
            raise

    def _open_process(self, launch: Launch, operation: Operation) -> None:
        """A pidfd first, then the look at the start time: from there on it cannot be another process of the same
        number."""
        pid = self.record.pid
        try:
            launch.slots[str(operation.values[0])] = posix.pidfd_open(pid)
        except ProcessLookupError:
            raise PyruncError("cannot exec in a stopped container") from None
        if start_time(pid) != self.record.start:
            raise PyruncError("cannot exec in a stopped container")

    def _console(self, launch: Launch, operation: Operation) -> None:
        from pyrunc.console import hand_on

        self.master = hand_on(launch.take_received(), self.options.console_socket)

    def _send_listener(self, launch: Launch, operation: Operation) -> None:
        from pyrunc.listener import hand_on_listener

        hand_on_listener(launch, self.spec, self.record, "running")


def _enter_resctrl(plan: Plan, rdt: IntelRdt, id: str) -> None:
    """The container's share of caches and memory bandwidth holds for this process as well."""
    from pyrunc.sandbox.compile.resctrl import enter_groups
    from pyrunc.sandbox.resctrl import groups, read_resctrl

    resctrl = read_resctrl()
    if resctrl is not None:  # None: unmounted since the container was made
        enter_groups(plan, groups(rdt, id, resctrl))


def chosen_process(spec: Spec, options: ExecOptions) -> Process:
    """config.json's process with the caller's options, or wholly the one of --process."""
    from pyrunc.specs.rules import check_process

    process = spec.process
    if options.process_file:
        from pyrunc.specs.runtime import decode_process

        process = completed(decode_process(read_document(options.process_file, waits=True)), spec.process)
    elif process is not None:
        _override(process, options)
    if process is None:
        raise Invalid("process property must not be empty", "process")
    check_process(process)
    if process.apparmor_profile or process.selinux_label:
        from pyrunc.sandbox.security import check_security

        check_security(process)
    return process


def completed(process: Process, made: Process | None) -> Process:
    """What a document of its own leaves out and runc then takes from config.json: what confines and what schedules,
    never who runs what."""
    if made is not None:
        for name in (
            "capabilities", "rlimits", "apparmor_profile", "selinux_label", "oom_score_adj", "scheduler",
            "io_priority", "exec_cpu_affinity",
        ):  # fmt: skip
            if getattr(process, name) in (None, "", ()):
                setattr(process, name, getattr(made, name))
        if process.user.umask is None:
            process.user.umask = made.user.umask
    return process


def _override(process: Process, options: ExecOptions) -> None:
    process.args = tuple(options.args)
    process.terminal = options.tty
    process.console_size = None
    if options.cwd:
        process.cwd = options.cwd
    if options.env:
        process.env = (*process.env, *options.env)  # the last one of a name wins
    if options.user is not None:
        uid, gid = options.user
        process.user.uid = uid
        if gid is not None:
            process.user.gid = gid
    if options.additional_gids:
        process.user.additional_gids += tuple(options.additional_gids)
    if options.no_new_privs is not None:
        process.no_new_privileges = options.no_new_privs
    if options.apparmor:
        process.apparmor_profile = options.apparmor
    if options.process_label:
        process.selinux_label = options.process_label
    if options.caps:
        _add_capabilities(process, options.caps)


def _add_capabilities(process: Process, names: list[str]) -> None:
    """To bounding, effective and permitted; to ambient only where the document has an inheritable list, and to that
    never (CVE-2022-29162)."""
    from pyrunc.specs.runtime import empty_capabilities

    sets = process.capabilities or empty_capabilities()
    given = tuple(name if name.startswith("CAP_") else f"CAP_{name}" for name in (item.upper() for item in names))
    sets.bounding += given
    sets.effective += given
    sets.permitted += given
    if sets.inheritable:
        sets.ambient += given
    process.capabilities = sets


def target_of(record: Record, process: Process, facts: Facts, options: ExecOptions) -> Target:
    """Where the process goes: the namespaces of the container's init that are not ours, and its cgroups."""
    pid = record.pid
    flags = 0
    for name, flag in NAMESPACES:
        try:
            if posix.readlink(f"/proc/{pid}/ns/{name}") != posix.readlink(f"/proc/self/ns/{name}"):
                flags |= flag
        except FileNotFoundError:
            if start_time(pid) != record.start:
                raise PyruncError("cannot exec in a stopped container") from None
            # else: a kernel without this kind of namespace
    into, enter = "", list[str]()
    if record.cgroups:
        from pyrunc.sandbox.cgroup.place import exec_folders, sub_folders

        into, enter = exec_folders(pid, facts.layout, record.cgroups, bool(options.cgroup))
        if options.cgroup:
            into, enter = sub_folders(into, enter, options.cgroup, facts.layout)
    elif options.cgroup:
        raise PyruncError("cgroup not exist", hint="the container was made without a cgroup of its own")
    set_groups = not facts.setgroups_denied and _may_setgroups(pid)
    if not set_groups and process.user.additional_gids:
        raise Failure(
            "set groups",
            "process.user.additionalGids",
            detail="cannot set any additional groups in a rootless container",
        )
    unit = None
    if record.unit is not None and record.unit[0] == "user" and into.startswith(record.cgroups[-1]):
        # From outside of the user's systemd, such as a login session, only systemd may move a process there.
        unit = (*record.unit, into.removeprefix(record.cgroups[-1]) or "/")
    keyring = f"_ses.{record.id}" if record.keyring else ""
    return Target(pid, flags, into, tuple(enter), keyring, set_groups, unit)


def _may_setgroups(pid: int) -> bool:
    try:
        fd = posix.open(f"/proc/{pid}/setgroups", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return True
    try:
        return not posix.read(fd, 16).startswith(b"deny")
    finally:
        posix.close(fd)


def _end(pid: int) -> None:
    try:
        posix.kill(pid, SIGKILL)
        posix.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
