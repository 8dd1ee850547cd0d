"""The life of a container: create, run, start. Hot path.

Compiles the plan, has it carried out, keeps the state record, and undoes everything when a step fails, so that a failed
operation leaves the environment as if it had never been tried. Deleting is `manage.py`'s, joining a container
`execute.py`'s.
"""

from __future__ import annotations

import posix

from pyrunc.bundle import load_bundle
from pyrunc.options import check_console
from pyrunc.pid_file import write_pid_file
from pyrunc.record import Record, json_object, timestamp
from pyrunc.sandbox.compile.create import Request, compile_create
from pyrunc.sandbox.compile.filesystem import mounts_on_host
from pyrunc.sandbox.compile.namespaces import prepared
from pyrunc.sandbox.facts import read_facts
from pyrunc.sandbox.launch import Launch
from pyrunc.sandbox.launcher import prepare_launcher
from pyrunc.specs.errors import PyruncError
from pyrunc.store import Store, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import NoReturn

    from pyrunc.bundle import Bundle
    from pyrunc.options import CreateOptions, ExecOptions
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Operation, Plan
    from pyrunc.stack_claim import Claim
    from pyrunc.store import Folder

SIGKILL = 9
PIDFD_RECEIVER = "run.oci.pidfd_receiver"  # crun's annotation: a socket that gets a pidfd of the container's init


def create(root: str, id: str, bundle: str, options: CreateOptions) -> None:
    """Makes the container and leaves its init waiting for `start`. No process of ours is left."""
    container = Creation(root, id, _prepared(load_bundle(bundle, options.config)), options, "socket")
    container.carry_out()
    container.launch.close()
    container.close()


def run(root: str, id: str, bundle: str, options: CreateOptions) -> int:
    """Makes the container and starts it. Detached: returns 0 once the program runs. In the foreground this process
    becomes the waiter, whose exit code is the program's; it does not return then."""
    container = Creation(root, id, _prepared(load_bundle(bundle, options.config)), options, "inline")
    if options.detach:
        container.carry_out()
        container.finish()
        container.close()
        container.serve_notify()
        return 0
    from pyrunc.waiter import become_waiter, block_signals, delete_command

    block_signals()
    container.carry_out()
    container.finish()
    folder = "" if options.keep else container.store.path(id)
    command = delete_command(root, id) if container.record.needs else None
    notify = container.notify.detach() if container.notify is not None else -1
    become_waiter(container.launch.pid, container.master, not options.no_subreaper, folder, command, notify)


def _prepared(bundle: Bundle) -> Bundle:
    """Before anything else is done with it, so that the launcher works while we compile."""
    prepare_launcher(prepared(bundle.spec))
    return bundle


def start(root: str, id: str) -> None:
    """Lets the program of a created container run; see `starting.py`."""
    from pyrunc.starting import start as start_container

    start_container(root, id)


def execute(root: str, id: str, options: ExecOptions) -> int:
    """Runs one more process in a container; see `execute.py`."""
    from pyrunc.execute import execute as execute_in

    return execute_in(root, id, options)


def plan_for(bundle: str, id: str, options: CreateOptions) -> Plan:
    """The plan that `create` would carry out on this host now; nothing is changed."""
    loaded = load_bundle(bundle, options.config)
    return _compile(loaded, id, options, "socket", read_facts())


def _compile(bundle: Bundle, id: str, options: CreateOptions, start: str, facts: Facts) -> Plan:
    spec = bundle.spec
    process = spec.process
    assert process is not None  # rules.check has seen to it
    if process.apparmor_profile or process.selinux_label:
        from pyrunc.sandbox.security import check_security

        check_security(process)
    seccomp = None
    if spec.linux.seccomp is not None or "run.oci.seccomp_bpf_data" in spec.annotations:
        from pyrunc.sandbox.seccomp import filter_of

        seccomp = filter_of(spec)
    if spec.linux.intel_rdt is not None:
        from pyrunc.sandbox.resctrl import read_resctrl

        facts.resctrl = read_resctrl()
    if options.cgroup_manager == "systemd":
        from pyrunc.sandbox.systemd.facts import find_manager

        find_manager(facts)
    kept = options.preserve_fds
    if b"LISTEN_FDS" in posix.environ:
        from pyrunc.activation import hand_on

        kept += hand_on(process)
    request = Request(
        id, bundle.path, bundle.rootfs, start, options.no_pivot, not options.no_new_keyring, kept, seccomp,
        options.cgroup_manager, options.rootless,
    )  # fmt: skip
    return compile_create(spec, facts, request)


class Creation:
    """One container being made: what has been done so far is enough to undo it."""

    def __init__(self, root: str, id: str, bundle: Bundle, options: CreateOptions, start: str) -> None:
        process = bundle.spec.process
        assert process is not None  # rules.check has seen to it
        check_console(process.terminal, start == "socket" or options.detach, options.console_socket)
        self.store = Store(root)
        self.bundle = bundle
        self.options = options
        facts = read_facts()
        self.notify: _socket.socket | None = None
        self.notifies = ""  # "" or how it starts, when the service manager wants to hear of it
        if b"NOTIFY_SOCKET" in posix.environ:
            from pyrunc.notify import service_manager, show_in_container

            if service_manager():
                self.notifies = start
                show_in_container(bundle.spec, self.store.path(id))
        self.plan = self.compile(id, start, facts)
        for operation in self.plan.init:
            if operation.name == "attach_devices":
                prepare_launcher(0, operation.values[1])  # type: ignore[arg-type]
        if options.warn is not None:
            for warning in self.plan.warnings:
                options.warn(warning)
        if options.trace is not None:
            for operation in self.plan.init:
                if operation.name == "seccomp":
                    options.trace(f"seccomp filter flags: {operation.values[0]!r}")  # runc's words
        self.master = -1
        self.record = self._record(id, bundle, facts)
        self.folder: Folder | None = None
        self.claim: Claim | None = None
        self.launch = Launch(
            self.plan,
            {
                "record": self._write_record, "record_pid": self._write_pid, "listen": self._listen,
                "hooks": self._hooks, "console": self._console, "listener": self._send_listener,
            },
        )  # fmt: skip
        if options.trace is not None:
            from pyrunc.sandbox.trace import Trace

            self.launch.trace = Trace(self.plan, options.trace)

    def compile(self, id: str, start: str, facts: Facts) -> Plan:
        return _compile(self.bundle, id, self.options, start, facts)

    def carry_out(self) -> None:
        """Everything up to the answer to `ready`; raises after undoing."""
        receivers = None
        receiver = self.bundle.spec.annotations.get(PIDFD_RECEIVER, "")
        if self.options.pidfd_socket or receiver:
            from pyrunc.pidfd import Receivers

            receivers = Receivers(self.options.pidfd_socket, receiver)
        self.folder = self.store.create(self.record.id)
        try:
            mounts = self.bundle.spec.mounts
            if mounts and mounts[0].destination == "/":
                from pyrunc.stack_claim import Claim

                self.claim = Claim(self.bundle)
            self.launch.run()
            if receivers is not None:
                receivers.send(self.launch.pid, "standard")
            if self.options.pid_file:
                write_pid_file(self.options.pid_file, self.launch.pid)
        except BaseException as error:
            self._fail(error)

    def finish(self) -> None:
        """Waits for exec and runs poststart hooks; raises after undoing (config.md: a failing poststart hook ends
        it)."""
        try:
            self.launch.finish()
            if "poststart" in self.record.needs:
                from pyrunc.hooks import run_hooks

                hooks = self.bundle.spec.hooks
                run_hooks("poststart", hooks.poststart if hooks else (), self.record, "running")
        except BaseException as error:
            self._fail(error)

    def serve_notify(self) -> None:
        """Stays until a detached container is ready, or has ended."""
        if self.notify is not None:
            from pyrunc.notify import serve

            serve(self.notify, posix.pidfd_open(self.launch.pid), self.launch.pid)

    def close(self) -> None:
        """Lets go of the container's lock; from here on it is anybody's."""
        if self.folder is not None:
            self.folder.close()

    # -- handlers of host operations that belong to us ---------------------------------------------------------------

    def _write_record(self, launch: Launch, operation: Operation) -> None:
        assert self.folder is not None
        self.folder.write_record(self.record)
        if self.notifies:
            from pyrunc.notify import listen, make_folder

            make_folder(self.folder.path)
            if self.notifies == "inline":
                self.notify = listen(self.folder.path)
        self.folder.write("config.json", self.bundle.config)
        steps = _steps(self.plan)
        if steps:
            self.folder.write("steps", steps)

    def _write_pid(self, launch: Launch, operation: Operation) -> None:
        assert self.folder is not None
        self.record.pid = launch.pid
        self.record.start = start_time(launch.pid) or 0
        if self.claim is not None:
            self.claim.write(launch.pid, self.record.start)
        # A group that was there before is somebody else's; so only what we made is removed with the container.
        self.record.resctrl = [path for path in self.record.resctrl if path in launch.made]
        self.folder.write_record(self.record)

    def _listen(self, launch: Launch, operation: Operation) -> None:
        import _socket

        assert self.folder is not None
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        posix.fchmod(listener.fileno(), 0o600)  # before it has a name: the file takes the mode of the socket
        # By way of the folder's fd: the path may be longer than the 108 bytes of sockaddr_un.
        listener.bind(f"/proc/self/fd/{self.folder.fd}/start.sock")
        listener.listen(8)
        launch.slots["listener"] = listener.detach()

    def _hooks(self, launch: Launch, operation: Operation) -> None:
        from pyrunc.hooks import run_hooks

        kind = str(operation.values[0])
        hooks = self.bundle.spec.hooks
        assert hooks is not None
        run_hooks(kind, hooks.prestart if kind == "prestart" else hooks.create_runtime, self.record, "creating")

    def _console(self, launch: Launch, operation: Operation) -> None:
        from pyrunc.console import hand_on

        self.master = hand_on(launch.take_received(), self.options.console_socket)

    def _send_listener(self, launch: Launch, operation: Operation) -> None:
        from pyrunc.listener import hand_on_listener

        hand_on_listener(launch, self.bundle.spec, self.record, "creating")

    # -- the record and the way back -----------------------------------------------------------------------------------

    def _record(self, id: str, bundle: Bundle, facts: Facts) -> Record:
        spec = bundle.spec
        return Record(
            id=id, oci_version=spec.oci_version, bundle=bundle.path, rootfs=bundle.rootfs, created=timestamp(),
            annotations=json_object(spec.annotations), freezer=self.plan.freezer, cgroups=self.plan.folders,
            resctrl=self.plan.resctrl, unit=self.plan.unit, keyring=not self.options.no_new_keyring,
            needs=_needs(bundle, self.plan) + (["notify"] if self.notifies else []),
        )  # fmt: skip

    def _fail(self, error: BaseException) -> NoReturn:
        """Undoes everything and raises `error`; what cannot be undone stays in the record for `delete --force`."""
        try:
            self._undo()
        except PyruncError as left:
            if isinstance(error, PyruncError) and not error.hint:
                error.hint = f"and the way back failed: {left}; `pyrunc delete --force {self.record.id}` tries again"
        if isinstance(error, PyruncError):
            error.prefix = "unable to start container process: "  # engines know runc's words
            error.plan, error.step = self.plan, self.launch.current
            if error.step is not None and error.step.name in ("make_cgroup", "enter_cgroups"):
                error.prefix += "unable to apply cgroup configuration: "
        raise error from None

    def _undo(self) -> None:
        """Leaves nothing: init first, because cgroups can only go once nothing is in them; the folder last, because it
        is what tells the next `delete --force` of anything that could not be removed."""
        launch = self.launch
        launch.close()
        if self.claim is not None:
            self.claim.close()
        if self.master >= 0:
            posix.close(self.master)
        if launch.pid:
            try:
                posix.kill(launch.pid, SIGKILL)
                posix.waitpid(launch.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        self._remove_cgroups()
        if mounts_on_host(self.bundle.spec):
            from pyrunc.host_mounts import unmount

            unmount(self.record.rootfs, self.record.needs)
        if "poststop" in self.record.needs:
            self._poststop()
        if self.options.pid_file and launch.pid:
            try:
                posix.unlink(self.options.pid_file)
            except OSError:
                pass
        if self.folder is not None:
            self.folder.remove()

    def _remove_cgroups(self) -> None:
        """Those that we made: one that was there before is somebody else's, whose processes may be why we failed."""
        unit = self.launch.unit
        made = [folder for folder in self.record.cgroups if unit or folder in self.launch.made]
        if made:
            from pyrunc.sandbox.cgroup.control import kill_all, remove

            kill_all(made, self.record.freezer)
            if unit:
                from pyrunc.sandbox.systemd.manager import stop_unit

                stop_unit(unit)
            remove(made)
        for folder in reversed(self.launch.made):
            try:
                posix.rmdir(folder)
            except OSError:
                pass  # gone already, or a parent in which another container has its own by now

    def _poststop(self) -> None:
        from pyrunc.hooks import run_every_hook

        hooks = self.bundle.spec.hooks
        # Their failures are warnings (config.md); the error that brought us here is what counts.
        run_every_hook("poststop", hooks.poststop if hooks else (), self.record, "stopped")


def _needs(bundle: Bundle, plan: Plan) -> list[str]:
    spec = bundle.spec
    needs = ["systemd"] if plan.unit else []
    if spec.hooks is not None:
        if spec.hooks.poststart:
            needs.append("poststart")
        if spec.hooks.poststop:
            needs.append("poststop")
    if not any(item.type == "pid" and not item.path for item in spec.linux.namespaces):
        needs.append("shared-pidns")
    if mounts_on_host(spec):
        from pyrunc.host_mounts import need

        needs.append(need(bundle.rootfs))
    if spec.linux.intel_rdt is not None:
        needs.append("resctrl")
    return needs


def _steps(plan: Plan) -> bytes:
    """What `start` may still see fail: `index TAB pointer TAB what` for each operation after `wait_start`."""
    lines = []
    waiting = False
    for index, operation in enumerate(plan.init):
        if waiting:
            what = f"run {operation.values[0][0]}" if operation.name == "exec" else operation.name  # type: ignore[index]
            if operation.name == "hook":
                what = f"run hook {operation.values[1]}"  # type: ignore[str-bytes-safe]
            lines.append(f"{index}\t{operation.pointer}\t{what}\n")
        elif operation.name == "wait_start":
            waiting = True
    return "".join(lines).encode("utf-8", "surrogateescape")
