"""What can be done with containers that exist: signals, the freezer, and their end. Hot path (kill, delete).

Each function is one command without its command line: it returns values and raises PyruncError. Must not print.
Making and starting containers is `lifecycle.py`'s, changing their limits `update.py`'s.
"""

from __future__ import annotations

import _signal
import posix
import select
import time

from pyrunc.record import Damaged
from pyrunc.signals import KILL, parse
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.store import Busy, NoContainer, Store, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.record import Record
    from pyrunc.specs.sections import Hook
    from pyrunc.store import Folder

PATIENCE = 10.0  # seconds for a container to end after SIGKILL, as runc has it
NOT_RUNNING = "container not running"


class Container:
    """A container in the list: what is known of it, its status, and whose it is."""

    __slots__ = ("owner", "record", "status")

    def __init__(self, record: Record, status: str, owner: str) -> None:
        self.record = record
        self.status = status
        self.owner = owner


def state(root: str, id: str) -> tuple[Record, str]:
    """What is known of a container, and its status."""
    store = Store(root)
    record = store.load(id)
    return record, store.status(record)


def containers(root: str) -> tuple[list[Container], list[str]]:
    """All containers of a root folder, and a sentence for each that cannot be read."""
    store = Store(root)
    found, warnings = [], []
    owners: dict[int, str] = {}  # a look-up takes longer than all the rest that is known of a container
    for id in store.ids():
        try:
            record = store.load(id)
            found.append(Container(record, store.status(record), _owner(store.path(id), owners)))
        except PyruncError as error:
            warnings.append(f"cannot list container {id}: {error}")
    return found, warnings


def kill(root: str, id: str, signal: int | str, everything: bool = False) -> None:
    """Sends a signal (a number or `KILL`, `SIGKILL`, `9`) to the container's first process; with `everything` to all of
    its processes, and then the container may have ended."""
    store = Store(root)
    record = store.load(id)
    signal = parse(signal) if isinstance(signal, str) else signal
    status = store.status(record)
    alive = status in ("created", "running", "paused")
    # The kernel ends a PID namespace with its first process; without one of its own, nobody but us ends the rest.
    rest = signal == KILL and "shared-pidns" in record.needs
    if not alive and not everything and not (rest and processes(root, id)):
        raise PyruncError(NOT_RUNNING)
    everything = everything or rest
    if everything and record.cgroups:
        _signal_all(record, signal)
    elif alive:
        _signal_process(record, signal)
        if signal == KILL:
            _let_die(record)


def delete(root: str, id: str, force: bool = False) -> list[str]:
    """Takes away all that the container holds, and frees its id. `force` ends it first, and takes away what a killed
    `create` or an interrupted `delete` has left. Returns warnings: failing poststop hooks stop nothing."""
    store = Store(root)
    try:
        folder = lock(store, id, PATIENCE if force else 0.0)
    except NoContainer:
        if force:
            return []
        raise
    try:
        return _delete(store, folder, id, force)
    finally:
        folder.close()


def pause(root: str, id: str) -> None:
    """Suspends all processes of the container."""
    record, status = state(root, id)
    if status not in ("created", "running"):
        raise PyruncError(NOT_RUNNING)
    from pyrunc.sandbox.cgroup.control import freeze

    freeze(_freezer(record))


def resume(root: str, id: str) -> None:
    """Lets the processes of a paused container go on."""
    record, status = state(root, id)
    if status != "paused":
        raise PyruncError("container not paused")
    from pyrunc.sandbox.cgroup.control import thaw

    thaw(_freezer(record))


def processes(root: str, id: str) -> list[int]:
    """The host's pids of all processes of the container, those in cgroups below its own as well."""
    record, status = state(root, id)
    if not record.cgroups:
        return [record.pid] if status in ("created", "running") else []
    from pyrunc.sandbox.cgroup.control import pids

    return pids(record.cgroups)


def _delete(store: Store, folder: Folder, id: str, force: bool) -> list[str]:
    try:
        record = store.load(id)
    except NoContainer:
        # Without a state file there is nothing but the folder: a `create` was killed before its first effect on the
        # host, or a `delete` after its last one.
        folder.remove()
        return []
    except Damaged:
        if not force:
            raise
        folder.remove()
        return []
    status = status_when_locked(store, record)
    if status == "created" or (force and status != "stopped"):
        _end(record)
    elif status != "stopped":
        raise PyruncError(f"cannot delete container {id} that is not stopped: {status}")
    hooks, warnings = _poststop_hooks(folder, record)
    warnings += _remove_cgroups(record, force)
    if any(word.startswith("mounted-on=") for word in record.needs):
        from pyrunc.host_mounts import unmount

        unmount(record.rootfs, record.needs)
    if record.resctrl:
        from pyrunc.sandbox.resctrl import remove

        remove(record.resctrl)
    folder.remove()
    return warnings + _run_poststop(hooks, record)


def lock(store: Store, id: str, patience: float) -> Folder:
    """The lock of a container's folder, so that nobody creates, starts, updates or deletes it meanwhile."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return store.lock(id)
        except Busy:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.01)


def status_when_locked(store: Store, record: Record) -> str:
    """The status while we hold the lock ourselves: whoever was creating it has gone."""
    return store.status(record) if record.pid else "stopped"


def _end(record: Record) -> None:
    """Ends the container by SIGKILL and waits for it."""
    pidfd = _open_process(record)
    if pidfd < 0:
        return
    try:
        if not _send(pidfd, KILL):
            return
        _let_die(record)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(PATIENCE * 1000):
            raise PyruncError("container init still running", hint="`ps` shows D where a process waits for a device")
    finally:
        posix.close(pidfd)


def _remove_cgroups(record: Record, force: bool) -> list[str]:
    """Removes the cgroups, with what may still run in them where no PID namespace has ended with the first process.
    Returns a warning for those of somebody else."""
    if not record.cgroups:
        return []
    from pyrunc.sandbox.cgroup.control import kill_all, pids, remove

    if record.pid and (force or "shared-pidns" in record.needs) and pids(record.cgroups):
        kill_all(record.cgroups, record.freezer)
    warnings = []
    if record.unit is not None and (record.pid or not pids(record.cgroups)):
        from pyrunc.sandbox.systemd.manager import stop_unit

        try:
            stop_unit(record.unit)
        except Failure as failure:
            if not force:
                raise
            warnings.append(str(failure))  # a user who has logged out has no systemd any more
    try:
        remove(record.cgroups)
    except Failure as failure:
        # A `create` was killed before it knew whether the cgroup is free. Its init, if any, has ended by itself, so
        # what is there is somebody else's.
        if record.pid or not pids(record.cgroups):
            raise
        warnings.append(str(failure))
    return warnings


def _poststop_hooks(folder: Folder, record: Record) -> tuple[tuple[Hook, ...], list[str]]:
    """The poststop hooks, which run last: read before the folder that keeps them is removed."""
    if "poststop" not in record.needs:
        return (), []
    from pyrunc.hooks import stored_hooks

    try:
        return stored_hooks(folder.path, "poststop"), []
    except (PyruncError, OSError) as error:
        return (), [f"cannot run poststop hooks: {error}"]


def _run_poststop(hooks: tuple[Hook, ...], record: Record) -> list[str]:
    """A poststop hook that fails is a warning (config.md): the container is gone whatever it says."""
    if not hooks:
        return []
    from pyrunc.hooks import run_every_hook

    return [str(failure) for failure in run_every_hook("poststop", hooks, record, "stopped")]


def _signal_process(record: Record, signal: int) -> None:
    pidfd = _open_process(record)
    if pidfd < 0:
        raise PyruncError(NOT_RUNNING)
    try:
        if not _send(pidfd, signal):
            raise PyruncError(NOT_RUNNING)
    finally:
        posix.close(pidfd)


def _send(pidfd: int, signal: int) -> bool:
    """Sends a signal. False: the process has ended."""
    try:
        _signal.pidfd_send_signal(pidfd, signal)
        return True
    except ProcessLookupError:
        return False
    except OSError as error:
        raise PyruncError(f"unable to signal init: {posix.strerror(error.errno or 0).lower()}") from None


def _signal_all(record: Record, signal: int) -> None:
    """To every process of the cgroups; SIGKILL also reaches those that are being forked just now."""
    from pyrunc.sandbox.cgroup.control import kill_all, pids

    if signal == KILL:
        kill_all(record.cgroups, record.freezer)
        return
    for pid in pids(record.cgroups):
        try:
            posix.kill(pid, signal)
        except ProcessLookupError:
            pass
        except OSError as error:
            raise Failure(f"signal process {pid}", number=error.errno or 0) from None


def _open_process(record: Record) -> int:
    """A pidfd of the container's first process, or -1 when it has ended."""
    if not record.pid:
        return -1
    try:
        pidfd = posix.pidfd_open(record.pid)
    except ProcessLookupError:
        return -1
    # The pidfd before the look at the start time: if that is right, no other process had the pid by then, and what is
    # sent through the pidfd meets the container or nobody.
    if start_time(record.pid) == record.start:
        return pidfd
    posix.close(pidfd)
    return -1


def _freezer(record: Record) -> tuple[str, str]:
    if record.freezer is None:
        raise PyruncError("cgroup not exist", hint="the container was made without a cgroup of its own")
    return record.freezer


def _let_die(record: Record) -> None:
    """Thaws the container after SIGKILL: on cgroup v1 a frozen process cannot even die."""
    if record.freezer is not None:
        from pyrunc.sandbox.cgroup.control import is_frozen, thaw

        if is_frozen(record.freezer):
            thaw(record.freezer, or_gone=True)  # systemd removes a unit's as soon as its last process has died


def _owner(folder: str, known: dict[int, str]) -> str:
    """The name of the user who made the container."""
    uid = posix.stat(folder).st_uid
    if uid not in known:
        import pwd

        try:
            known[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            known[uid] = f"#{uid}"
    return known[uid]
