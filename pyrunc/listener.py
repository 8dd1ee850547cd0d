"""Hands a seccomp listener on to the agent of linux.seccomp.listenerPath (config-linux.md, "Container Process State").

init cannot send it: even sendmsg(2) may be a call that waits for the agent. So it tells the number, and the listener is
fetched from outside. Only loaded when a filter notifies; must never wait for an answer of the agent.
"""

from __future__ import annotations

import _socket
import posix

from pyrunc.bundle import receiver
from pyrunc.record import quote
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.record import Record
    from pyrunc.sandbox.launch import Launch
    from pyrunc.specs.runtime import Spec

PIDFD_GETFD = 438  # the number of every architecture


def hand_on_listener(launch: Launch, spec: Spec, record: Record, status: str) -> None:
    """Fetches the listener from the process of `launch` and sends it with the state of the container. `status` is
    "creating" for its first process and "running" for another one. Raises Failure when there is nobody who takes it."""
    seccomp = spec.linux.seccomp
    path = seccomp.listener_path if seccomp is not None else receiver(spec)
    if not path:  # a filter that came ready; the rules have seen to the others
        raise Invalid("a seccomp filter that notifies needs a listenerPath", "linux.seccomp.listenerPath")
    state = process_state(record, status, launch.pid, seccomp.listener_metadata if seccomp is not None else "")
    listener = fetch(launch.pid, launch.listener)
    try:
        agent = connect(path)
        try:
            send(agent, state.encode("utf-8", "surrogateescape"), listener)
        finally:
            agent.close()
    except OSError as error:
        raise Failure(
            f"send the seccomp listener to {path}", "linux.seccomp.listenerPath", error.errno or 0,
            "failed to connect with seccomp agent specified in the seccomp profile",
            "is an agent listening there, on a socket of type SOCK_STREAM?",
        ) from None  # fmt: skip
    finally:
        posix.close(listener)


def process_state(record: Record, status: str, pid: int, metadata: str) -> str:
    """The ContainerProcessState as JSON; `record.pid` is the container's own process, `pid` the one under the
    filter."""
    state = (
        f'"ociVersion":{quote(record.oci_version)},"id":{quote(record.id)},"status":"{status}"'
        f',"pid":{record.pid},"bundle":{quote(record.bundle)}'
    )
    if record.annotations:
        state += f',"annotations":{record.annotations}'
    told = f',"metadata":{quote(metadata)}' if metadata else ""
    return f'{{"ociVersion":{quote(record.oci_version)},"fds":["seccompFd"],"pid":{pid}{told},"state":{{{state}}}}}'


def fetch(pid: int, number: int) -> int:
    """A copy of file descriptor `number` of process `pid`, which waits for us and so cannot be another one by now."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    process = posix.pidfd_open(pid)
    try:
        listener = int(library.syscall(PIDFD_GETFD, process, number, 0))
    finally:
        posix.close(process)
    if listener < 0:
        number = ctypes.get_errno()
        hint = "it takes Linux 5.6 and the right to trace the container's process"
        if number == 1:  # EPERM
            hint = "users may have it from a container's own process; from one that `exec` adds only root may"
        raise Failure("get the seccomp listener from the container", "linux.seccomp", number, hint=hint)
    return listener


def connect(path: str) -> _socket.socket:
    """`@name` is an abstract address, as in runc. The others as for a console."""
    if not path.startswith("@"):
        from pyrunc.console import connect as connect_file

        return connect_file(path)
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        link.connect(b"\0" + path[1:].encode("utf-8", "surrogateescape"))
    except OSError:
        link.close()
        raise
    return link


def send(agent: _socket.socket, state: bytes, listener: int) -> None:
    """The listener goes with the first byte; what does not fit into the socket's buffer follows."""
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, listener.to_bytes(4, "little"))]
    sent = agent.sendmsg([state], rights, _socket.MSG_NOSIGNAL)
    if sent < len(state):  # who has all may have closed
        agent.sendall(state[sent:], _socket.MSG_NOSIGNAL)
