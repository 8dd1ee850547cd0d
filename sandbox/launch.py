"""Carries out a plan: host operations here, the rest by the launcher. The conversation is drawn in
docs/architecture.md.

Works in threaded programs: nothing process-wide (chdir, umask, signals, setns) happens here. Must not know policy: what
is done stands in the plan; what belongs to pyrunc alone (records, hooks, consoles) comes in as handlers.
"""

from __future__ import annotations

import _socket
import posix

from pyrunc.sandbox.launcher import ready_launcher, sealed
from pyrunc.sandbox.protocol import (
    MAX_TEXT,
    MESSAGE,
    MESSAGE_FAIL,
    MESSAGE_GO,
    MESSAGE_PLAN,
    MESSAGE_SPAWNED,
    MESSAGE_SYNC,
)
from pyrunc.sandbox.wire import encode, slot_names
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyrunc.sandbox.plan import Operation, Plan
    from pyrunc.sandbox.trace import Trace

    Handler = Callable[["Launch", "Operation"], None]


class Launch:
    """One plan being carried out. `pid` is init's as soon as the launcher has told it, 0 before.

    `handlers` maps names of host operations that this module does not know to functions of (launch, operation).
    """

    def __init__(self, plan: Plan, handlers: Mapping[str, Handler]) -> None:
        self.plan = plan
        self.handlers = handlers
        self.pid = 0
        self.slots: dict[str, int] = {}
        self.made: list[str] = []  # cgroup folders that were not there before
        self.unit: tuple[str, str] | None = None  # the systemd unit that was started
        self.received = -1  # fd that came with the last rendezvous
        self.listener = -1  # number of the seccomp listener in init, as the last rendezvous told it
        self.current: Operation | None = None  # the one at hand: after a failure, the one that failed
        self.trace: Trace | None = None  # for whoever debugs
        self._synced = 0  # the `sync` that init has come to
        self._control: _socket.socket | None = None
        self._launcher = 0

    def run(self) -> int:
        """Carries out the whole host list and returns init's pid; init then waits for its start or is on its way to
        exec.

        Raises Failure with the operation that failed, whichever side it was on. What was made stays: the caller undoes
        it.
        """
        for operation in self.plan.host:
            self.current = operation
            own = HOST.get(operation.name)
            if own is not None:
                own(self, operation)
            else:
                self.handlers[operation.name](self, operation)
            if self.trace is not None:
                self.trace.host(operation, self._synced)
        return self.pid

    def finish(self) -> None:
        """Waits until init has become its program (end of file), or raises the Failure that kept it from that."""
        kind, index, a, b, text = self._receive()
        if kind:
            raise self._explained(kind, index, a, b, text)
        if self.trace is not None:
            self.trace.init(len(self.plan.init))
        self.close()

    def close(self) -> None:
        """Closes every fd of the launch; init, if it still listens to us, ends."""
        for fd in self.slots.values():
            posix.close(fd)
        self.slots.clear()
        if self.received >= 0:
            posix.close(self.received)
            self.received = -1
        if self._control is not None:
            self._control.close()
            self._control = None
        self._reap_launcher()

    def take_received(self) -> int:
        """The fd that came with the last rendezvous; the caller owns it now."""
        fd, self.received = self.received, -1
        return fd

    # -- messages ------------------------------------------------------------------------------------------------

    def _receive(self) -> tuple[int, int, int, int, bytes]:
        """The next message; kind 0 at end of file. An fd that comes along is kept in `received`."""
        assert self._control is not None
        try:
            data, ancillary, _, _ = self._control.recvmsg(MESSAGE.size + MAX_TEXT, 64, _socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:  # the other side was killed before it had read what we said last
            return 0, 0, 0, 0, b""
        for level, kind, content in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                self.received = int.from_bytes(content[:4], "little")
        if len(data) < MESSAGE.size:
            return 0, 0, 0, 0, b""
        head = MESSAGE.unpack_from(data)
        return (*head, data[MESSAGE.size :])

    def _expect(self, wanted: int, number: int = 0) -> int:
        kind, index, a, b, text = self._receive()
        if kind != wanted or (wanted == MESSAGE_SYNC and a != number):
            raise self._explained(kind, index, a, b, text)
        if wanted == MESSAGE_SYNC:
            self._synced = index
            self.listener = b
        return a

    def _explained(self, kind: int, index: int, a: int, b: int, text: bytes) -> PyruncError:
        from pyrunc.sandbox.failures import explain, vanished

        if kind == MESSAGE_FAIL and self.trace is not None:
            self.trace.init(index)
        if kind == MESSAGE_FAIL and index < len(self.plan.init):
            self.current = self.plan.init[index]
            return explain(self.plan.init[index], a, b, text.decode("utf-8", "replace"))
        self._reap_launcher()
        return vanished(self.pid)

    def _reap_launcher(self) -> None:
        if self._launcher:
            posix.waitpid(self._launcher, 0)
            self._launcher = 0

    # -- host operations -----------------------------------------------------------------------------------------

    def _launch(self, operation: Operation) -> None:
        names = slot_names(self.plan.host, self.plan.init)
        plan = encode(self.plan.init, names)
        self.ready()
        assert self._control is not None
        memfd = sealed("plan", plan)
        fds = [memfd, *[self.slots[name] for name in names[: len(self.slots)]]]
        rights = b"".join([fd.to_bytes(4, "little") for fd in fds])
        try:
            self._control.sendmsg(
                [MESSAGE.pack(MESSAGE_PLAN, len(fds) - 1, len(plan), 0)],
                [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)],
            )
        except OSError:
            pass  # the launcher has ended; what it said last is read below
        finally:
            posix.close(memfd)
        self.pid = self._expect(MESSAGE_SPAWNED)
        if not any(item.name == "opener" for item in self.plan.init):  # else it stays as long as its opener does
            self._reap_launcher()

    def ready(self) -> int:
        """The launcher's pid: it waits for its plan, and does nothing yet."""
        if self._control is None:
            self._control, self._launcher = ready_launcher()
        return self._launcher

    def _systemd(self, operation: Operation) -> None:
        from pyrunc.sandbox.systemd.steps import STEPS

        STEPS[operation.name](self, operation)

    def _await(self, operation: Operation) -> None:
        self._expect(MESSAGE_SYNC, operation.values[0])  # type: ignore[arg-type]

    def _answer(self, operation: Operation) -> None:
        assert self._control is not None
        try:
            self._control.send(MESSAGE.pack(MESSAGE_GO, self._synced, 0, 0))
        except OSError:
            raise self._explained(*self._receive()) from None

    def _make_cgroup(self, operation: Operation) -> None:
        path: str = operation.values[0]  # type: ignore[assignment]
        try:
            posix.mkdir(path, 0o755)
            self.made.append(path)
        except FileExistsError:
            if not operation.tolerances:  # the container's own: somebody else's processes must not get its limits
                from pyrunc.sandbox.cgroup.steps import check_unused

                check_unused(path)
        except OSError as error:
            raise self._failed(operation, error) from None

    def _enable_controllers(self, operation: Operation) -> None:
        from pyrunc.sandbox.cgroup.steps import enable_controllers

        path, names = operation.values
        enable_controllers(path, names)  # type: ignore[arg-type]

    def _inherit_cpuset(self, operation: Operation) -> None:
        from pyrunc.sandbox.cgroup.steps import inherit_cpuset

        path, file = operation.values
        inherit_cpuset(path, file)  # type: ignore[arg-type]

    def _delegate(self, operation: Operation) -> None:
        from pyrunc.sandbox.cgroup.steps import delegate

        uid, gid, path = operation.values
        delegate(path, uid, gid)  # type: ignore[arg-type]

    def _write_either(self, operation: Operation) -> None:
        from pyrunc.sandbox.cgroup.steps import write_either

        first, value, other, other_value = (str(item) for item in operation.values)
        write_either(first, value, other, other_value, operation.pointer)

    def _write(self, operation: Operation) -> None:
        path, value = operation.values
        try:
            fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)  # type: ignore[arg-type]
            try:
                posix.write(fd, value.encode())  # type: ignore[union-attr]
            finally:
                posix.close(fd)
        except OSError as error:
            if operation.tolerances and error.errno in _tolerated(operation.tolerances):
                return
            from pyrunc.sandbox.cgroup.steps import refusal

            raise refusal(path, value, operation.pointer, error) from None  # type: ignore[arg-type]

    def _open_cgroup(self, operation: Operation) -> None:
        slot, path = operation.values
        self._open(operation, slot, path, posix.O_RDONLY | posix.O_DIRECTORY)  # type: ignore[arg-type]

    def _open_namespace(self, operation: Operation) -> None:
        slot, flag, path = str(operation.values[0]), int(operation.values[1]), str(operation.values[2])  # type: ignore[arg-type]
        try:
            # Non-blocking, because a fifo would hang us before we could see what it is.
            self.slots[slot] = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)
        except OSError as error:
            if error.errno == 2:  # ENOENT: runc's text
                raise Failure(
                    f"join namespace: namespace {path} does not exist", operation.pointer, 2,
                    hint="the process that holds it has ended, or the path is wrong",
                ) from None  # fmt: skip
            from pyrunc.sandbox.describe import CLONE

            raise Failure(f"join {CLONE[flag]} namespace {path}", operation.pointer, error.errno or 0) from None
        from fcntl import ioctl

        try:
            kind = ioctl(self.slots[slot], 0xB703)  # NS_GET_NSTYPE
        except OSError:
            kind = 0
        if kind != flag:
            from pyrunc.sandbox.describe import CLONE

            is_a = f"a {CLONE[kind]} namespace" if kind in CLONE else "no namespace"
            raise Failure(
                f"join {CLONE[flag]} namespace {path}", operation.pointer, detail=f"it is {is_a}",
                hint="type and path of a namespace have to agree",
            )  # fmt: skip

    def _append_to(self, operation: Operation) -> None:
        slot, path = (str(value) for value in operation.values)
        try:
            self.slots[slot] = open_to_append(path)
        except OSError as error:
            raise self._failed(operation, error) from None

    def _map_namespace(self, operation: Operation) -> None:
        from pyrunc.sandbox.idmap import mapped_namespace

        slot, uids, gids = (str(value) for value in operation.values)
        self.slots[slot] = mapped_namespace(uids, gids, operation.pointer)

    def _open(self, operation: Operation, slot: str, path: str, flags: int) -> None:
        try:
            self.slots[slot] = posix.open(path, flags | posix.O_CLOEXEC)
        except OSError as error:
            raise self._failed(operation, error) from None

    def _inherit(self, operation: Operation) -> None:
        slot, number = str(operation.values[0]), int(operation.values[1])  # type: ignore[arg-type]
        from fcntl import F_DUPFD_CLOEXEC, fcntl

        try:
            self.slots[slot] = fcntl(number, F_DUPFD_CLOEXEC, 10)
        except OSError as error:
            raise Failure(
                f"pass on file descriptor {number}: unable to stat preserved-fd", "", error.errno or 0,
                hint="fewer descriptors are open than --preserve-fds or LISTEN_FDS say",
            ) from None  # fmt: skip

    def _id_maps(self, operation: Operation) -> None:
        from pyrunc.sandbox.idmap import write_maps

        deny, uids, gids = operation.values
        try:
            write_maps(self.pid, bool(deny), uids, gids)  # type: ignore[arg-type]
        except OSError as error:
            raise self._failed(operation, error) from None

    def _make_resctrl(self, operation: Operation) -> None:
        from pyrunc.sandbox.resctrl import make

        path, rule, schemata = (str(item) for item in operation.values)
        if make(path, rule, schemata):
            self.made.append(path)

    def _enter_resctrl(self, operation: Operation) -> None:
        from pyrunc.sandbox.resctrl import enter

        enter(operation.values[0], self.pid)  # type: ignore[arg-type]

    def _network(self, operation: Operation) -> None:
        from pyrunc.sandbox.network import move_device

        source, name = (str(value) for value in operation.values)
        move_device(self.pid, source, name, operation.pointer)

    def _enter_cgroups(self, operation: Operation) -> None:
        pid = str(self.pid).encode()
        for folder in operation.values[0]:  # type: ignore[union-attr]
            try:
                fd = posix.open(f"{folder}/cgroup.procs", posix.O_WRONLY | posix.O_CLOEXEC)
                try:
                    posix.write(fd, pid)
                finally:
                    posix.close(fd)
            except ProcessLookupError:
                return  # init has ended: the next rendezvous says why
            except OSError as error:
                raise Failure(f"apply cgroup: enter {folder}", operation.pointer, error.errno or 0) from None

    def _failed(self, operation: Operation, error: OSError) -> Failure:
        from pyrunc.sandbox.describe import describe
        from pyrunc.sandbox.failures import HINTS

        number = error.errno or 0
        return Failure(describe(operation), operation.pointer, number, hint=HINTS.get((operation.name, number)))


def open_to_append(path: str) -> int:
    """The fd of a file that gets what hooks write, made if there is none. A fifo that nobody reads is ENXIO: its reader
    may never come."""
    flags = posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT | posix.O_NOCTTY | posix.O_CLOEXEC
    fd = posix.open(path, flags | posix.O_NONBLOCK, 0o600)
    posix.set_blocking(fd, True)  # hooks expect that their output waits for its reader
    return fd


HOST: dict[str, Handler] = {
    "make_cgroup": Launch._make_cgroup,
    **dict.fromkeys(("start_unit", "change_unit", "enter_unit"), Launch._systemd),
    "enable_controllers": Launch._enable_controllers,
    "inherit_cpuset": Launch._inherit_cpuset,
    "write": Launch._write,
    "write_either": Launch._write_either,
    "delegate": Launch._delegate,
    "open_cgroup": Launch._open_cgroup,
    "open_namespace": Launch._open_namespace,
    "append_to": Launch._append_to,
    "map_namespace": Launch._map_namespace,
    "inherit": Launch._inherit,
    "launch": Launch._launch,
    "id_maps": Launch._id_maps,
    "enter_cgroups": Launch._enter_cgroups,
    "make_resctrl": Launch._make_resctrl,
    "enter_resctrl": Launch._enter_resctrl,
    "network": Launch._network,
    "await": Launch._await,
    "answer": Launch._answer,
}


def _tolerated(bits: int) -> tuple[int, ...]:
    numbers: tuple[int, ...] = ()
    if bits & 1:  # missing_ok: ENOENT, ENOTDIR
        numbers += (2, 20)
    if bits & 8:  # denied_ok: EPERM, EACCES, EROFS
        numbers += (1, 13, 30)
    if bits & 256:  # unsupported_ok: EINVAL, ENOSYS, EOPNOTSUPP
        numbers += (22, 38, 95)
    return numbers
