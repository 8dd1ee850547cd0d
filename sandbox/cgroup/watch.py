"""Waits for what happens in a container's cgroups: the kernel kills for want of memory, the last process ends.

Sleeps in poll(2) until the kernel says so, on cgroup v2 by the files themselves, on v1 by an eventfd; nothing is asked
again and again. Must not change anything. Off the hot path.
"""

from __future__ import annotations

import os
import select
from types import TracebackType

from pyrunc.sandbox.cgroup.steps import read
from pyrunc.specs.errors import Failure


class Watch:
    """A context manager. `wait` returns as soon as there is something to tell."""

    def __init__(self, folders: list[str]) -> None:
        self._fds: list[int] = []
        self._poll = select.poll()
        self._kills = 0
        self._events = self._populated = self._notifier = -1
        self._control = ""
        try:
            for folder in folders:
                self._look_at(folder)
        except OSError as error:
            self.close()
            raise Failure(f"watch cgroup {folder}", number=error.errno or 0) from None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def wait(self, seconds: float) -> tuple[int, bool]:
        """(times that memory ran out since the last call, whether the container's processes or its cgroup have
        gone)."""
        kills, ended = 0, False
        for fd, _ in self._poll.poll(max(seconds, 0) * 1000):
            if fd == self._notifier:
                os.read(fd, 8)
                # The end of a cgroup is told by the same eventfd.
                if os.path.exists(self._control):
                    kills += 1
                else:
                    ended = True
                continue
            now = self._value(fd)
            if now is None:
                ended = True
            elif fd == self._events:
                kills += max(now - self._kills, 0)
                self._kills = now
            else:
                ended = ended or not now
        return kills, ended

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def _look_at(self, folder: str) -> None:
        if read(f"{folder}/cgroup.controllers") is not None:
            self._populated = self._open(f"{folder}/cgroup.events", select.POLLPRI)
            self._events = self._open(f"{folder}/memory.events", select.POLLPRI)
            if self._populated >= 0:
                self._value(self._populated)  # only what comes after a read counts as news
            if self._events >= 0:
                self._kills = self._value(self._events) or 0
            return
        control = self._open(f"{folder}/memory.oom_control", 0)
        if control >= 0:
            self._notifier = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._fds.append(self._notifier)
            self._poll.register(self._notifier, select.POLLIN)
            self._control = f"{folder}/cgroup.event_control"
            with open(self._control, "w", encoding="ascii") as file:
                file.write(f"{self._notifier} {control}")

    def _open(self, path: str, events: int) -> int:
        """-1 where there is no such file: the controller is not there, or the cgroup is the topmost."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1
        self._fds.append(fd)
        if events:
            self._poll.register(fd, events)
        return fd

    def _value(self, fd: int) -> int | None:
        """What counts in the file; None when its cgroup has been removed."""
        try:
            text = os.pread(fd, 4096, 0).decode()
        except OSError:
            return None
        key = "oom_kill" if fd == self._events else "populated"
        return next((int(line.split()[1]) for line in text.split("\n") if line.split(" ")[0] == key), 0)
