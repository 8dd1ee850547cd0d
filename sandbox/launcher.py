"""The launcher as a process: sealed, started, or taken over from the front.

It runs from a sealed memfd, so that nothing in a container can reach a file of the host through /proc/self/exe
(CVE-2019-5736), and is started by posix_spawn, because Python must not be forked: it has threads, and its memory is not
the container's. Hot path; must not know what a plan says.
"""

from __future__ import annotations

import _socket
import posix

from pyrunc.sandbox.protocol import CONTROL_FD, MAX_PREPARED, MESSAGE, MESSAGE_PREPARE
from pyrunc.specs.errors import Failure

_MFD = 0x1 | 0x2  # MFD_CLOEXEC | MFD_ALLOW_SEALING
_MFD_EXEC = 0x10  # since Linux 6.3; older kernels know no other kind
_F_ADD_SEALS = 1033
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # seal, shrink, grow, write
_launcher_fd = -1
_adopted: tuple[_socket.socket, int] | None = None  # a launcher that waits for its plan, and its pid


def adopt_launcher(text: str) -> None:
    """Takes over the launcher that the front has started: `FD:PID`."""
    global _adopted
    fd, _, pid = text.partition(":")
    posix.set_inheritable(int(fd), False)
    _adopted = (_socket.socket(fileno=int(fd)), int(pid))


def prepare_launcher(flags: int, devices: bytes = b"") -> None:
    """Has an adopted launcher do now what the plan that it is going to get will ask for: make the namespaces of
    `flags` for `spawn`, load the program `devices` for `attach_devices`. What it cannot do, those operations try again,
    and say why."""
    if _adopted is not None and (flags or devices) and len(devices) <= MAX_PREPARED:
        try:
            _adopted[0].send(MESSAGE.pack(MESSAGE_PREPARE, 0, flags, 0) + devices)
        except OSError:
            pass  # it has ended: whoever sends the plan hears of that


def dismiss_launcher() -> None:
    """Ends an adopted launcher that got no plan."""
    global _adopted
    if _adopted is not None:
        control, pid = _adopted
        _adopted = None
        control.close()
        posix.waitpid(pid, 0)


def ready_launcher() -> tuple[_socket.socket, int]:
    """A launcher that waits for its plan: (control socket, pid)."""
    global _adopted
    if _adopted is not None:
        ready, _adopted = _adopted, None
        return ready
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        return ours, spawn_launcher(theirs.fileno())
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()


def spawn_launcher(control: int) -> int:
    """Starts the launcher with `control` as its fd 3 and an empty environment; returns its pid.

    It runs from a sealed memfd, so that nothing in a container can reach a file of the host through /proc/self/exe
    (CVE-2019-5736). posix_spawn, because Python must not be forked: it has threads, and its memory is not the
    container's.
    """
    actions = [(posix.POSIX_SPAWN_DUP2, control, CONTROL_FD)]
    return posix.posix_spawn(f"/proc/self/fd/{launcher_fd()}", ["pyrunc-init"], {}, file_actions=actions)


def launcher_fd() -> int:
    """The sealed memfd with the launcher, made once in the life of this process."""
    global _launcher_fd
    if _launcher_fd < 0:
        path = native_program("launcher")
        try:
            source = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError as error:
            raise Failure(
                f"open the launcher {path}", "", error.errno or 0, hint="pyrunc was not built: pip install it again"
            ) from None
        try:
            size = posix.fstat(source).st_size
            memfd = _memfd("launcher", _MFD_EXEC)
            if memfd == CONTROL_FD:
                memfd = posix.dup(memfd)  # dup2 in the child would replace it
            sent = 0
            while sent < size:
                sent += posix.sendfile(memfd, source, sent, size - sent)
        finally:
            posix.close(source)
        _seal(memfd)
        _launcher_fd = memfd
    return _launcher_fd


def native_program(name: str) -> str:
    """The path of one of our native programs: `launcher` or `waiter`."""
    return f"{__file__.rpartition('/')[0]}/native/bin/{name}"


def sealed(name: str, content: bytes) -> int:
    """A sealed memfd that holds `content`."""
    fd = _memfd(name, 0)
    view = memoryview(content)
    while view:
        view = view[posix.write(fd, view) :]
    _seal(fd)
    return fd


def _memfd(name: str, kind: int) -> int:
    try:
        return posix.memfd_create(f"pyrunc-{name}", _MFD | kind)
    except OSError as error:
        if error.errno != 22 or not kind:  # EINVAL: a kernel before 6.3
            raise Failure(f"make memfd {name}", "", error.errno or 0) from None
        return posix.memfd_create(f"pyrunc-{name}", _MFD)


def _seal(fd: int) -> None:
    from fcntl import fcntl

    fcntl(fd, _F_ADD_SEALS, _SEALS)
