"""Makes a container of saved processes, by CRIU.

A creation whose init is CRIU's work: the record and the cgroup with its limits are made as for `create`, then a criu is
started in that cgroup (sandbox/compile/restore.py), which makes the processes out of its images, the first of them a
child of ours. What fails is undone as a failed creation is. Never loaded on the path of a start.
"""

from __future__ import annotations

import json
import os
import posix

from pyrunc.bundle import load_bundle, read_document
from pyrunc.checkpoint import DESCRIPTORS, clear, criu_config, make_folders, open_folder
from pyrunc.lifecycle import Creation
from pyrunc.pid_file import write_pid_file
from pyrunc.sandbox.compile.process import DEFAULT_PATH
from pyrunc.sandbox.compile.restore import bound, compile_restore, inherited
from pyrunc.sandbox.criu import worker
from pyrunc.sandbox.criu.requests import DEV_NULL, EXTERNAL, RESTORE_LOG, cgroup_mode, restore_request
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.store import read_text, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from pyrunc.options import CreateOptions
    from pyrunc.sandbox.criu.options import CriuOptions
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.launch import Launch
    from pyrunc.sandbox.plan import Operation, Plan

ROOT = "criu-root"  # in the state folder while CRIU is at work: what it takes for the root file system
LSM_VERSION = 31600
PF_EXITING = 0x4


def restore(root: str, id: str, options: CreateOptions, criu: CriuOptions) -> int:
    """Makes the container `id` of the images in `criu.images`. Detached: returns 0 once the processes run. Otherwise
    this process becomes the waiter, whose exit code is the container's; it does not return then."""
    cgroup_mode(criu.cgroups_mode)
    container = Restoration(root, id, options, criu)
    if options.detach:
        container.carry_out()
        container.close()
        return 0
    from pyrunc.waiter import become_waiter, block_signals, delete_command

    block_signals()
    container.carry_out()
    command = delete_command(root, id) if container.record.needs else None
    become_waiter(container.launch.pid, container.master, not options.no_subreaper, container.store.path(id), command)


class Restoration(Creation):
    """One container being restored. `launch.pid` is criu's until that has ended, then that of the container's init."""

    def __init__(self, root: str, id: str, options: CreateOptions, criu: CriuOptions) -> None:
        self.criu = criu
        self.program = worker.program()
        self.worker: socket.socket | None = None
        self.unfinished = 0  # that pid as soon as there is a process at all
        self.restored = 0  # pid of the container's init, as soon as there is one
        self.streams = _read_descriptors(criu.images)
        worker.check_version(worker.OLDEST)
        for value, flag in ((criu.lsm_profile, "--lsm-profile"), (criu.lsm_mount_context, "--lsm-mount-context")):
            if value:
                worker.check_version(LSM_VERSION, flag)
        super().__init__(root, id, load_bundle(options.bundle), options, "inline")
        # criu is recorded as if it were init, so that `delete --force` finds it where we have been killed.
        own = {"record": self._write_record, "record_pid": self._write_pid, "criu": self._open_link}
        self.launch.handlers = own

    def compile(self, id: str, start: str, facts: Facts) -> Plan:
        create = super().compile(id, start, facts)
        self.bound = bound(create)
        env = {"PATH": os.environ.get("PATH") or DEFAULT_PATH}
        return compile_restore(create, self.bundle.spec, self.program, f"{self.store.path(id)}/{ROOT}", env)

    def carry_out(self) -> None:
        """Everything; raises after undoing."""
        self.folder = self.store.create(self.record.id)
        try:
            os.mkdir(ROOT, 0o700, dir_fd=self.folder.fd)
            if self.criu.work:
                make_folders(self.criu.work)
            self.launch.run()
            self.launch.finish()
            self._converse()
            os.rmdir(ROOT, dir_fd=self.folder.fd)
            if self.options.pid_file:
                write_pid_file(self.options.pid_file, self.launch.pid)
        except worker.Refused as refusal:
            log = f"{self.criu.work or self.criu.images}/{RESTORE_LOG}"
            self._fail(worker.explain(refusal, f"restore container {self.record.id}", log))
        except BaseException as error:
            self._fail(error)

    # -- the conversation with criu ------------------------------------------------------------------------------------

    def _open_link(self, launch: Launch, operation: Operation) -> None:
        self.worker, theirs = worker.link()
        launch.slots[str(operation.values[0])] = theirs.detach()

    def _converse(self) -> None:
        assert self.worker is not None and self.folder is not None
        spec = self.bundle.spec
        names = [(EXTERNAL[kind][1], number) for kind, _, _, number in inherited(spec)]
        # Pipes are whoever's they were; now they are those that we were given in their place.
        names += [(name, number) for number, name in enumerate(self.streams) if name.startswith("pipe:")]
        images = self._open_for_criu(self.criu.images)
        work = self._open_for_criu(self.criu.work) if self.criu.work else -1
        clear(work if work >= 0 else images, self.criu.work or self.criu.images, RESTORE_LOG)
        request = restore_request(
            self.criu, root=f"{self.folder.path}/{ROOT}", images=images, work=work,
            config=criu_config(spec.annotations), mounts=self._mounts(), inherited=names, spec=spec,
            cgroups=_cgroups(self.launch.pid),
        )  # fmt: skip
        handlers = {
            "setup-namespaces": self._run_hooks,
            "post-restore": self._take_over,
            "orphan-pts-master": self._take_console,
            "pre-resume": self._check,
        }
        try:
            worker.converse(self.worker, request, handlers, self._end_stuck)
        finally:
            self.worker.close()
            os.close(images)
            if work >= 0:
                os.close(work)
        _, status = posix.waitpid(self.launch.pid, 0)
        self.launch.pid = self.restored
        if status:
            raise PyruncError(f"criu failed: exit status {posix.waitstatus_to_exitcode(status)}")

    def _open_for_criu(self, path: str) -> int:
        """A folder as criu sees it: it takes our descriptors, and could not mount anything in a folder that it has
        from another mount namespace than its own."""
        return open_folder(f"/proc/{self.launch.pid}/root{os.path.realpath(path)}")

    def _mounts(self) -> list[tuple[str, str]]:
        """(name, source) of what comes from outside. Its name is the place where it really was mounted, which has to
        be found again where symbolic links lead to it."""
        top = os.open(self.bundle.rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found = dict(self.bound)
            found |= {_resolved(top, target): source for target, source in self.bound}
        finally:
            os.close(top)
        return [*found.items(), (DEV_NULL, DEV_NULL)]

    def _end_stuck(self) -> None:
        """A criu that fails late kills the processes that it traces, and waits for their init, which waits for those
        that are traced: neither ever ends. That init is on its way out is seen in its flags."""
        if self.unfinished and is_exiting(self.unfinished):
            posix.kill(self.launch.pid, 9)

    def _run_hooks(self, pid: int, fd: int) -> None:
        """The namespaces are there, with nothing in them: what sets up the network does it now."""
        self.unfinished = pid
        hooks = self.bundle.spec.hooks
        if hooks is None:
            return
        from pyrunc.hooks import run_hooks

        self.record.pid = pid
        run_hooks("prestart", hooks.prestart, self.record, "creating")
        run_hooks("createRuntime", hooks.create_runtime, self.record, "creating")

    def _take_over(self, pid: int, fd: int) -> None:
        """The processes are there, and wait for our word to go on: from here on the record knows them."""
        assert self.folder is not None
        self.restored = self.record.pid = pid
        self.record.start = start_time(pid) or 0
        self.folder.write_record(self.record)

    def _check(self, pid: int, fd: int) -> None:
        """The processes have all that they are going to have, and have not done anything yet."""
        from pyrunc.restored import check_restored

        try:
            check_restored(self.bundle.spec, self.restored)
        except BaseException:
            posix.kill(self.restored, 9)  # CRIU would let it go on all the same
            raise

    def _take_console(self, pid: int, fd: int) -> None:
        from pyrunc.console import hand_on

        self.master = hand_on(fd, self.options.console_socket)

    def _undo(self) -> None:
        """criu first: it takes the processes that it has made along as soon as nobody listens, and at the latest they
        end with their cgroup or their first process."""
        if self.worker is not None:
            self.worker.close()
        if self.restored and self.restored != self.launch.pid:
            _end(self.restored)
        super()._undo()


def _read_descriptors(path: str) -> list[str]:
    try:
        value = json.loads(read_document(f"{path}/{DESCRIPTORS}"))
    except Failure as failure:
        failure.hint = "is this a folder that `checkpoint` has made?"
        raise
    except (ValueError, RecursionError) as error:
        raise PyruncError(f"{path}/{DESCRIPTORS} is no JSON: {error}") from None
    if not isinstance(value, list) or len(value) > 3 or not all(isinstance(item, str) for item in value):
        raise PyruncError(f"{path}/{DESCRIPTORS} is not a list of three texts")
    return value


def _cgroups(pid: int) -> list[tuple[str, str]]:
    """(controllers, path) of the cgroups that criu is in, where the container shall be."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        found = [line.rstrip("\n").split(":", 2) for line in file]
    return [(controllers, path) for _, controllers, path in found]


def _resolved(top: int, path: str) -> str:
    """Where `path` leads below the folder `top`; the part that is missing there is taken as it is."""
    from pyrunc.sandbox.files import open_in_root

    base = os.readlink(f"/proc/self/fd/{top}")
    rest = ""
    while path != "/":
        try:
            fd = open_in_root(top, os.fsencode(path), os.O_PATH)
        except OSError:
            path, _, last = path.rpartition("/")
            path, rest = path or "/", f"/{last}{rest}"
            continue
        try:
            return os.readlink(f"/proc/self/fd/{fd}").removeprefix(base) + rest
        finally:
            os.close(fd)
    return rest


def is_exiting(pid: int) -> bool:
    """Whether a process has begun to end, though it may wait for others."""
    try:
        text = read_text(f"/proc/{pid}/stat")
    except OSError:
        return False
    flags = int(text[text.rindex(")") + 2 :].split()[6])  # field 9 of proc(5)
    return bool(flags & PF_EXITING)


def _end(pid: int) -> None:
    try:
        posix.kill(pid, 9)
        posix.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
