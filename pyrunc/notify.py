"""Passes on what a container tells systemd by sd_notify(3). Only loaded when $NOTIFY_SOCKET asks for it.

As runc has it: the container finds a socket of ours at /run/notify/notify.sock and its path in its environment. When it
says READY=1 the service manager is told so, together with the pid that it has to watch (MAINPID) and a barrier, which
makes sure that it has read both before we may end. Nothing else is passed on: what a container says of pids and fds is
not to be believed. Somebody has to listen until then: `start` and a detached `run` stay for it, a foreground `run`
leaves it to the waiter, which then is the service's main process itself.
"""

from __future__ import annotations

import _socket
import posix
import select

from pyrunc.specs.decode import Node
from pyrunc.specs.errors import Failure
from pyrunc.specs.runtime import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.runtime import Spec

NEED = "notify"  # in the record: the front leaves start and delete of such containers to Python
INSIDE = "/run/notify"
NAME = "notify.sock"
BARRIER = 30.0  # seconds: an older service manager does not know it
MAX_DATAGRAM = 4096
MOST = 1024  # datagrams at a time, more than a queue holds: whoever never ends talking must not keep us from the end


def service_manager() -> str:
    """The socket of the one who started us, "" when there is none: a path, or an abstract name with its "@"."""
    socket = posix.environ.get(b"NOTIFY_SOCKET", b"").decode("utf-8", "surrogateescape")
    return socket if socket[:1] in ("/", "@") else ""


def show_in_container(spec: Spec, folder: str) -> None:
    """Adds the folder of the socket and its variable to the document. Read-only: nothing inside may replace it."""
    mount = {
        "destination": INSIDE, "type": "bind", "source": f"{folder}/notify",
        "options": ["bind", "nosuid", "noexec", "nodev", "ro"],
    }  # fmt: skip
    spec.mounts = (*spec.mounts, Mount(Node(mount, "")))
    assert spec.process is not None
    spec.process.env = (*spec.process.env, f"NOTIFY_SOCKET={INSIDE}/{NAME}")


def make_folder(folder: str) -> None:
    """Before anything is mounted; its socket may come later, when there is somebody who listens."""
    try:
        posix.mkdir(f"{folder}/notify", 0o755)
    except OSError as error:
        raise Failure(f"make {folder}/notify", number=error.errno or 0) from None


def listen(folder: str) -> _socket.socket:
    """The socket that the container finds. Everybody may write to it: the container's users are any."""
    path = f"{folder}/notify"
    try:
        fd = posix.open(path, posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
        try:
            listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
            listener.bind(f"/proc/self/fd/{fd}/{NAME}")  # the path may be longer than the 108 bytes of sockaddr_un
            posix.chmod(f"/proc/self/fd/{fd}/{NAME}", 0o777)
        finally:
            posix.close(fd)
    except OSError as error:
        raise Failure(f"listen on {path}/{NAME}", number=error.errno or 0) from None
    return listener


def serve(listener: _socket.socket, pidfd: int, pid: int) -> None:
    """Waits until the container says that it is ready, and passes it on; or until it has ended."""
    poll = select.poll()
    poll.register(listener.fileno(), select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        # The socket first: what it said last counts even when it has ended.
        if listener.fileno() in ready and _says_ready(listener):
            tell(service_manager(), pid)
            return
        if pidfd in ready:
            return


def _says_ready(listener: _socket.socket) -> bool:
    """Reads what is there. File descriptors that come along are closed by the kernel: there is no room for them."""
    for _ in range(MOST):
        try:
            if b"READY=1" in listener.recv(MAX_DATAGRAM, _socket.MSG_DONTWAIT).split(b"\n"):
                return True
        except BlockingIOError:
            break
    return False


def tell(socket: str, pid: int) -> None:
    """READY=1, the pid to watch, and the barrier. A service manager that is not there needs to know nothing."""
    address = "\0" + socket[1:] if socket.startswith("@") else socket
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        link.connect(address)
        link.send(b"READY=1\n")
        link.send(f"MAINPID={pid}\n".encode())
        _barrier(link)
    except OSError as error:
        raise Failure(f"notify {socket}", number=error.errno or 0, hint="NOTIFY_SOCKET names it") from None
    finally:
        link.close()


def _barrier(link: _socket.socket) -> None:
    """The other side closes the pipe's end once it has read everything before (sd_notify_barrier(3))."""
    read, write = posix.pipe2(posix.O_CLOEXEC)
    try:
        link.sendmsg([b"BARRIER=1"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, write.to_bytes(4, "little"))])
    finally:
        posix.close(write)
    poll = select.poll()
    poll.register(read, 0)  # POLLHUP comes unasked
    poll.poll(BARRIER * 1000)
    posix.close(read)
