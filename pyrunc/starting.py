"""`start`: lets the program of a created container run. The conversation on start.sock is in docs/architecture.md.

The front in C does the same for plain containers; this is for those with poststart hooks, for the library, and for
telling why a start failed.
"""

from __future__ import annotations

import _socket
import posix

from pyrunc.record import Record
from pyrunc.sandbox.protocol import MAX_TEXT, MESSAGE, MESSAGE_FAIL, MESSAGE_GO
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.store import Store

REFUSED = {
    "stopped": "cannot start a container that has stopped",
    "running": "cannot start an already running container",
}
PREFIX = "unable to start container process: "


def start(root: str, id: str) -> None:
    """Starts the container and runs its poststart hooks. Raises PyruncError where it cannot be started (it stays as it
    is) and Failure where its program could not be run (it is stopped then)."""
    store = Store(root)
    record = store.load(id)
    folder = store.path(id)
    lock = store.lock(id)  # not while `create` is still at work, and one at a time: init ends with who connects to it
    try:
        status = store.status(record)
        if status != "created":
            raise PyruncError(REFUSED.get(status, f"cannot start a container in the {status} state"))
        listener = _notify_listener(record, folder)
        init = _connect(folder)
        _unlink(f"{folder}/start.sock", init)
    finally:
        lock.close()
    try:
        pidfd = posix.pidfd_open(record.pid) if listener is not None else -1  # init waits for our GO: it is there
        _go(store, record, init)
    finally:
        init.close()
    if "poststart" in record.needs:
        _poststart(store, record)
    if listener is not None:
        from pyrunc.notify import serve

        serve(listener, pidfd, record.pid)


def failed_start(root: str, id: str, index: int, number: int, detail: int, text: str) -> PyruncError:
    """What init's FAIL means, by the `steps` file that create left. Never raises for a missing file: it then says
    less."""
    from pyrunc.sandbox.failures import explain_step

    pointer, what = "", f"carry out operation {index}"
    try:
        fd = posix.open(f"{Store(root).path(id)}/steps", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            lines = posix.read(fd, 1 << 20).decode("utf-8", "surrogateescape").split("\n")
        finally:
            posix.close(fd)
        for line in lines:
            fields = line.split("\t", 2)
            if len(fields) == 3 and fields[0] == str(index):
                _, pointer, what = fields
    except OSError:
        pass
    failure = explain_step(what, pointer, number, detail, text)
    failure.prefix = PREFIX
    return failure


def _notify_listener(record: Record, folder: str) -> _socket.socket | None:
    """Where the container's program says that it is ready, for those that were made to; see `notify.py`."""
    if "notify" not in record.needs:
        return None
    from pyrunc.notify import listen, service_manager

    return listen(folder) if service_manager() else None


def _connect(folder: str) -> _socket.socket:
    from pyrunc.console import connect

    try:
        return connect(f"{folder}/start.sock", _socket.SOCK_SEQPACKET)
    except OSError as error:
        raise Failure(f"reach the container's init by {folder}/start.sock", number=error.errno or 0) from None


def _unlink(path: str, init: _socket.socket) -> None:
    """Before GO: who finds no start.sock comes too late."""
    try:
        posix.unlink(path)
    except OSError as error:
        init.close()
        raise Failure(f"remove {path}", number=error.errno or 0) from None


def _go(store: Store, record: Record, init: _socket.socket) -> None:
    try:
        init.send(MESSAGE.pack(MESSAGE_GO, 0, 0, 0))
        data = init.recv(MESSAGE.size + MAX_TEXT)
    except (BrokenPipeError, ConnectionResetError):
        raise PyruncError(f"{PREFIX}the container's init was killed before it had heard of it") from None
    if not data:
        return  # closed by exec
    kind, index, number, detail = MESSAGE.unpack_from(data)
    text = data[MESSAGE.size :].decode("utf-8", "replace")
    if kind != MESSAGE_FAIL:
        raise PyruncError(f"{PREFIX}init answered with message {kind}")
    raise failed_start(store.root, record.id, index, number, detail, text)


def _poststart(store: Store, record: Record) -> None:
    """A poststart hook that fails stops the container (config.md, since 1.3.0), which is then deleted."""
    from pyrunc.hooks import run_hooks, stored_hooks

    try:
        run_hooks("poststart", stored_hooks(store.path(record.id), "poststart"), record, "running")
    except PyruncError:
        from pyrunc.manage import delete

        delete(store.root, record.id, force=True)
        raise
