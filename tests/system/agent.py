"""A seccomp agent for tests: takes listeners from a socket and answers every notification, by letting the call go on or
with an errno of its own.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import socket
import struct
import threading
from pathlib import Path
from typing import Any

RECEIVE, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE


class Agent:
    """`states` are the process states that came, `counts` how many fds with each, `calls` the numbers notified."""

    def __init__(self, path: Path | str, answers: dict[int, int] | None = None) -> None:
        self.answers = answers or {}
        self.states: list[dict[str, Any]] = []
        self.counts: list[int] = []
        self.calls: list[int] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._end_read, self._end_write = os.pipe()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Agent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._end_write)
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._server, select.POLLIN)
        poll.register(self._end_read, select.POLLHUP)
        listeners: list[int] = []
        while True:
            for fd, events in poll.poll():
                if fd == self._end_read:
                    for other in [*listeners, fd]:
                        os.close(other)
                    return
                if fd == self._server.fileno():
                    listener = self._accept()
                    if listener >= 0:
                        listeners.append(listener)
                        poll.register(listener, select.POLLIN)
                elif events & select.POLLIN:
                    self._answer(fd)
                else:  # nobody is under that filter any more
                    poll.unregister(fd)

    def _accept(self) -> int:
        connection, _ = self._server.accept()
        with connection:
            message, fds, _, _ = socket.recv_fds(connection, 65536, 4)
        self.states.append(json.loads(message))
        self.counts.append(len(fds))
        return fds[0] if fds else -1

    def _answer(self, listener: int) -> None:
        asked = bytearray(80)
        try:
            fcntl.ioctl(listener, RECEIVE, asked)
        except OSError as error:
            assert error.errno in (errno.ENOENT, errno.EINTR)  # it was killed meanwhile
            return
        identity, _, _, number = struct.unpack_from("<QIIi", asked)
        self.calls.append(number)
        error_number = self.answers.get(number, 0)
        answer = struct.pack("<QqiI", identity, 0, -error_number, 0 if error_number else CONTINUE)
        try:
            fcntl.ioctl(listener, SEND, answer)
        except OSError as error:
            assert error.errno == errno.ENOENT
