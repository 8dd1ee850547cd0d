"""Hands a terminal's master on: to a console socket, as containerd and conmon expect it, or to whoever relays it.

runc's protocol: one message, the terminal's name as text, the master by SCM_RIGHTS. Only loaded when there is a
terminal.
"""

from __future__ import annotations

import _socket
import posix

from pyrunc.specs.errors import Failure


def hand_on(master: int, socket: str) -> int:
    """A new terminal goes to the console socket, if there is one; else it is made fit to be relayed, and kept. Returns
    the master that is kept, or -1."""
    if socket:
        send_console(socket, master)
        return -1
    keep_newlines(master)
    return master


def send_console(path: str, master: int, name: str = "/dev/pts/ptmx") -> None:
    """Sends `master` to the socket at `path`, however long that path is, and closes it here."""
    try:
        with_folder = connect(path)
        try:
            with_folder.sendmsg(
                [name.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, master.to_bytes(4, "little"))]
            )
        finally:
            with_folder.close()
    except OSError as error:
        raise Failure(
            f"send the terminal to {path}",
            "process.terminal",
            error.errno or 0,
            hint="is a receiver listening on --console-socket?",
        ) from None
    finally:
        posix.close(master)


def keep_newlines(master: int) -> None:
    """The terminal that is relayed to adds carriage returns itself: the container's must not, from its first output
    on."""
    import termios

    settings = termios.tcgetattr(master)
    settings[1] &= ~termios.ONLCR
    termios.tcsetattr(master, termios.TCSANOW, settings)


def connect(path: str, kind: int = _socket.SOCK_STREAM) -> _socket.socket:
    """Connects to a socket in the file system. Paths over the 108 bytes of sockaddr_un go through /proc/self/fd."""
    link = _socket.socket(_socket.AF_UNIX, kind | _socket.SOCK_CLOEXEC)
    try:
        if len(path.encode("utf-8", "surrogateescape")) < 108:
            link.connect(path)
        else:
            folder, _, name = path.rpartition("/")
            fd = posix.open(folder or "/", posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
            try:
                link.connect(f"/proc/self/fd/{fd}/{name}")
            finally:
                posix.close(fd)
    except OSError:
        link.close()
        raise
    return link
