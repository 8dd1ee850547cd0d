"""Runs the hooks that belong to the host side: prestart, createRuntime, poststart, poststop (config.md "POSIX-platform
Hooks").

In listed order, the state on standard input, the environment only as given, each with its timeout, in the bundle's
folder: scripts that were written for runc and crun name files of it. A hook that fails ends the list with a Failure;
whether that ends the container is the caller's to decide.
"""

from __future__ import annotations

import posix
import select
import time

from pyrunc.record import state_json
from pyrunc.spawn import spawn_in
from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyrunc.record import Record
    from pyrunc.specs.sections import Hook

KEPT_OUTPUT = 2048  # bytes of a failing hook's output that its error shows, each stream
SIGKILL = 9
OUTPUT = "run.oci.hooks."  # crun's annotations, with `stdout` or `stderr`: files that get what hooks write
RESET_SIGNALS = (13, 25)  # SIGPIPE and SIGXFSZ, which Python ignores for itself


def run_hooks(kind: str, hooks: Iterable[Hook], record: Record, status: str) -> None:
    """Runs the hooks of one kind until one fails. Raises Failure with runc's words: `error running prestart hook #0:
    ...`."""
    for failure in _failures(kind, hooks, record, status):
        raise failure


def run_every_hook(kind: str, hooks: Iterable[Hook], record: Record, status: str) -> list[Failure]:
    """Runs all hooks of one kind, whatever becomes of those before, and returns their failures: for poststop."""
    return list(_failures(kind, hooks, record, status))


def _failures(kind: str, hooks: Iterable[Hook], record: Record, status: str) -> Iterator[Failure]:
    state = state_json(record, status, indent="").encode("utf-8", "surrogateescape")
    for index, hook in enumerate(hooks):
        problem = _run(hook, record.bundle, state, _files(record))
        if problem:
            what = f"error running {kind} hook #{index}: {problem}"
            yield Failure(f"run {kind} hook {hook.path}", f"hooks.{kind}[{index}]", detail=what)


def stored_hooks(folder: str, kind: str) -> tuple[Hook, ...]:
    """The hooks of one kind from the configuration that a container was made with. `kind` as in config.json."""
    from pyrunc.specs.runtime import decode_spec

    fd = posix.open(f"{folder}/config.json", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        data = b""
        while part := posix.read(fd, 1 << 20):
            data += part
    finally:
        posix.close(fd)
    spec = decode_spec(data)
    found: tuple[Hook, ...] = getattr(spec.hooks, {"poststart": "poststart", "poststop": "poststop"}[kind], ())
    return found


def _files(record: Record) -> list[tuple[int, str]]:
    """Streams that the annotations send to files: [(1 or 2, path), ...]."""
    if OUTPUT not in record.annotations:
        return []
    from pyrunc.specs.decode import decode

    annotations = decode(record.annotations.encode("utf-8", "surrogateescape"))
    paths = [(fd, annotations.get(OUTPUT + stream, "")) for fd, stream in ((1, "stdout"), (2, "stderr"))]
    return [(fd, path if path.startswith("/") else f"{record.bundle}/{path}") for fd, path in paths if path]


def _run(hook: Hook, folder: str, state: bytes, files: list[tuple[int, str]]) -> str:
    """Runs one hook; returns what was wrong with it, "" when nothing was."""
    opened: list[tuple[int, int]] = []
    try:
        for stream, path in files:
            from pyrunc.sandbox.launch import open_to_append

            try:
                opened.append((stream, open_to_append(path)))
            except OSError as error:
                return f"open {path}: {posix.strerror(error.errno or 0).lower()}"
        return _start(hook, folder, state, opened)
    finally:
        for _, fd in opened:
            posix.close(fd)


def _start(hook: Hook, folder: str, state: bytes, files: list[tuple[int, int]]) -> str:
    stdin_read, stdin_write = posix.pipe2(posix.O_CLOEXEC)
    out_read, out_write = posix.pipe2(posix.O_CLOEXEC)
    err_read, err_write = posix.pipe2(posix.O_CLOEXEC)
    actions = [
        (posix.POSIX_SPAWN_DUP2, stdin_read, 0),
        (posix.POSIX_SPAWN_DUP2, out_write, 1),
        (posix.POSIX_SPAWN_DUP2, err_write, 2),
        *[(posix.POSIX_SPAWN_DUP2, file, stream) for stream, file in files],
    ]
    env = dict(item.split("=", 1) for item in hook.env or () if "=" in item)
    pid = 0
    try:
        pid = spawn_in(folder, hook.path, list(hook.args) or [hook.path], env, actions, RESET_SIGNALS)
    except OSError as error:
        return f"fork/exec {hook.path}: {posix.strerror(error.errno or 0).lower()}"
    finally:
        unused = (
            (stdin_read, out_write, err_write)
            if pid
            else (stdin_read, stdin_write, out_read, out_write, err_read, err_write)
        )
        for fd in unused:
            posix.close(fd)
    return _supervise(pid, hook.timeout, state, stdin_write, {out_read: b"", err_read: b""})


def _supervise(pid: int, timeout: int | None, state: bytes, stdin: int, outputs: dict[int, bytes]) -> str:
    """Feeds the hook, drains it, ends it when it is late. A child of the hook that keeps the pipes open is not waited
    for."""
    pidfd = posix.pidfd_open(pid)
    posix.set_blocking(stdin, False)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(stdin, select.POLLOUT)
    for fd in outputs:
        posix.set_blocking(fd, False)
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + timeout if timeout else None
    late = False
    ended = False
    while not ended:
        wait = None if deadline is None or late else max(0.0, (deadline - time.monotonic()) * 1000)
        events = poll.poll(wait)
        if not events and wait is not None:
            late = True
            posix.kill(pid, SIGKILL)
        for fd, _ in events:
            if fd == pidfd:
                ended = True
            elif fd == stdin:
                state = _feed(fd, state)
                if not state:  # end of file tells the hook that this was all
                    poll.unregister(stdin)
                    posix.close(stdin)
                    stdin = -1
            else:
                _drain(poll, fd, outputs)
    for fd in outputs:
        _drain(poll, fd, outputs)
    _, status = posix.waitpid(pid, 0)
    for fd in (pidfd, stdin, *outputs):
        if fd >= 0:
            posix.close(fd)
    return _verdict(status, late, timeout, list(outputs.values()))


def _feed(fd: int, state: bytes) -> bytes:
    """Writes what the pipe takes; returns what is left."""
    try:
        return state[posix.write(fd, state) :]
    except BlockingIOError:
        return state
    except OSError:
        return b""  # the hook does not want to know


def _drain(poll: select.poll, fd: int, outputs: dict[int, bytes]) -> None:
    try:
        while part := posix.read(fd, 65536):
            outputs[fd] = (outputs[fd] + part)[:KEPT_OUTPUT]
    except BlockingIOError:
        return
    try:
        poll.unregister(fd)
    except KeyError:
        pass


def _verdict(status: int, late: bool, timeout: int | None, outputs: list[bytes]) -> str:
    if late:
        return f"hook ran past specified timeout of {float(timeout or 0):.1f}s"
    if status == 0:
        return ""
    if posix.WIFEXITED(status):
        how = f"exit status {posix.WEXITSTATUS(status)}"
    else:
        from _signal import strsignal

        how = f"signal: {(strsignal(posix.WTERMSIG(status)) or '').lower()}"
    stdout, stderr = (part.decode("utf-8", "replace").strip() for part in outputs)
    return f"{how}, stdout: {stdout}, stderr: {stderr}"
