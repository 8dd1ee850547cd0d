"""Speaks the launcher's protocol from the host's side, with real plans and nothing in between.

    talk = Talk(launcher, [op(...), ...], {"slot": fd})       starts it and sends the plan
    talk.receive() / talk.go() / talk.answer_all()            the conversation, message by message
    talk.end()                                                waits for init's end: Result(status, output, messages)

Everything goes through sandbox/wire.py, so a disagreement between the encoder and the launcher shows up here.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pyrunc.sandbox import protocol
from pyrunc.sandbox.operations import RENDEZVOUS
from pyrunc.sandbox.plan import PHASE_NUMBER, Operation, op, sync
from pyrunc.sandbox.wire import encode, slot_names

TREE = Path(__file__).resolve().parents[3]
NATIVE = TREE / "sandbox" / "native"
NEWUSER, NEWNS, NEWPID, NEWNET = 0x10000000, 0x20000, 0x20000000, 0x40000000
NEWUTS, NEWIPC, NEWCGROUP, NEWTIME = 0x04000000, 0x08000000, 0x02000000, 0x80
MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_REC = 0x40000, 0x80000, 0x100000, 0x4000
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
HEAD = struct.Struct("<IIqq")
F_ADD_SEALS, SEALS = 1033, 0xF
TIMEOUT = 20.0


def build(target: Path, *words: str) -> Path:
    """Compiles the launcher to `target`; `words` for make: `sanitized`, `HOSTED=1`."""
    subprocess.run(["make", "-s", "-C", str(NATIVE), f"OUT={target}", *(words or [str(target)])], check=True)
    return target


def sealed(content: bytes, seals: int = SEALS) -> int:
    """A memfd with `content`."""
    fd = os.memfd_create("plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


class Message(NamedTuple):
    """One packet of the launcher's or init's; `at` is the index of its operation."""

    kind: int
    at: int
    a: int
    b: int
    text: str
    fd: int

    @property
    def detail(self) -> int:
        return protocol.detail_of(self.b)[0]

    @property
    def number(self) -> int:
        return protocol.detail_of(self.b)[1]


class Result(NamedTuple):
    """How it ended. `status` is init's exit status (negative: the signal), the launcher's when there was no init."""

    status: int
    output: str
    messages: list[Message]

    @property
    def failure(self) -> Message | None:
        return next((item for item in self.messages if item.kind == protocol.MESSAGE_FAIL), None)


class Talk:
    """A launcher at work. Init is a child of this process, as it is of pyrunc."""

    def __init__(
        self,
        launcher: Path,
        plan: Sequence[Operation] | bytes,
        slots: dict[str, int] | None = None,
        no_stdin: bool = False,
        passed: Sequence[int] = (),
        seals: int = SEALS,
        claimed: int | None = None,
        apart: bool = False,
        prepare: Sequence[int | bytes] = (),
    ) -> None:
        """`apart`: in a mount namespace of its own, for plans of which nobody knows what they would do. `prepare`:
        flags or device programs of PREPARE messages before the plan."""
        slots = slots or {}
        names = [*slots]
        if not isinstance(plan, bytes):
            names += [name for name in slot_names([], list(plan)) if name not in names]
            plan = encode(list(plan), names)
        self.messages: list[Message] = []
        self.output = b""
        self.init = 0
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(TIMEOUT)
        self._out, out = os.pipe()
        memfd = sealed(plan, seals)
        actions: list[tuple[int, ...]] = [
            (os.POSIX_SPAWN_DUP2, out, 1),
            (os.POSIX_SPAWN_DUP2, out, 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
            *[(os.POSIX_SPAWN_DUP2, fd, fd) for fd in passed],
        ]
        if no_stdin:
            actions.append((os.POSIX_SPAWN_CLOSE, 0))
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}
        command = ["/usr/bin/unshare", "-m", str(launcher)] if apart else [str(launcher)]
        self.launcher = os.posix_spawn(command[0], command, environment, file_actions=actions)
        os.close(out)
        theirs.close()
        for item in prepare:
            flags, program = (0, item) if isinstance(item, bytes) else (item, b"")
            self.control.send(HEAD.pack(protocol.MESSAGE_PREPARE, 0, flags, 0) + program)
        message = HEAD.pack(protocol.MESSAGE_PLAN, len(slots), len(plan) if claimed is None else claimed, 0)
        try:
            socket.send_fds(self.control, [message], [memfd, *slots.values()])
        finally:
            os.close(memfd)

    def receive(self) -> Message | None:
        """The next message, None at end of file."""
        data, fds, _, _ = socket.recv_fds(self.control, 8192, 4)
        if not data:
            return None
        kind, index, a, b = HEAD.unpack_from(data)
        message = Message(kind, index, a, b, data[HEAD.size :].decode("utf-8", "replace"), fds[0] if fds else -1)
        self.messages.append(message)
        if message.kind == protocol.MESSAGE_SPAWNED:
            self.init = message.a
        return message

    def go(self, index: int) -> None:
        """Answers the rendezvous of operation `index`."""
        self.control.send(HEAD.pack(protocol.MESSAGE_GO, index, 0, 0))

    def until(self, rendezvous: str) -> Message:
        """Reads up to that SYNC; anything that ends the conversation before is a failure of the test."""
        while True:
            message = self.receive()
            assert message is not None, f"end of file before {rendezvous}: {self.drain()!r}"
            assert message.kind != protocol.MESSAGE_FAIL, message
            if message.kind == protocol.MESSAGE_SYNC and RENDEZVOUS[message.a] == rendezvous:
                return message

    def answer_all(self) -> None:
        """Says GO to everything until the other side is gone."""
        while (message := self.receive()) is not None:
            if message.kind == protocol.MESSAGE_SYNC:
                if RENDEZVOUS[message.a] == "idmaps":
                    self.map_ids()
                self.go(message.at)

    def map_ids(self, base: int = 100000, size: int = 65536) -> None:
        """Writes the maps of init's new user namespace: its 0.. are the host's base.. ."""
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{self.init}/{name}").write_text(f"0 {base} {size}\n")

    def drain(self) -> str:
        """Output so far, without waiting for more than a moment."""
        while select.select([self._out], [], [], 0.2)[0]:
            part = os.read(self._out, 65536)
            if not part:
                break
            self.output += part
        return self.output.decode("utf-8", "replace")

    def end(self) -> Result:
        """Answers what is asked, waits for everybody's end and returns what was learnt."""
        self.answer_all()
        self.control.close()
        _, status = os.waitpid(self.launcher, 0)
        while part := os.read(self._out, 65536):
            self.output += part
        if self.init:
            _, status = os.waitpid(self.init, 0)
        os.close(self._out)
        return Result(os.waitstatus_to_exitcode(status), self.output.decode("utf-8", "replace"), self.messages)


def make_rootfs(folder: Path) -> Path:
    """A root file system with busybox and the usual folders."""
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "work"):
        (folder / name).mkdir(parents=True)
    for name in ("dev", "work"):
        (folder / name).chmod(0o777)  # for the root of a user namespace, who is nobody here
    busybox = folder / "bin" / "busybox"
    busybox.write_bytes(Path("/bin/busybox").read_bytes())
    busybox.chmod(0o755)
    for name in (
        "sh",
        "cat",
        "ls",
        "id",
        "stat",
        "mount",
        "grep",
        "echo",
        "test",
        "touch",
        "sleep",
        "env",
        "readlink",
        "true",
    ):
        (folder / "bin" / name).symlink_to("busybox")
    (folder / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A User:/home/user:/bin/sh\n"
    )
    return folder


def mount(
    target: str, kind: str, *options: str, slot: str = "", attr: int = 0, propagation: int = 0, tolerate: str = ""
) -> Operation:
    return op(
        "mount", f"mounts:{target}", slot, attr, propagation, target, kind, kind, list(options), tolerate=tolerate
    )


def bind(
    target: str,
    source: str,
    recursive: int = 0,
    set: int = 0,
    clear: int = 0,
    rec_set: int = 0,
    rec_clear: int = 0,
    propagation: int = 0,
    drop: int = 0,
    id_map: str = "",
    map_all: int = 0,
    slot: str = "",
    tolerate: str = "",
) -> Operation:
    return op(
        "bind",
        f"mounts:{target}",
        slot,
        id_map,
        map_all,
        recursive,
        set,
        clear,
        drop,
        rec_set,
        rec_clear,
        propagation,
        target,
        source,
        tolerate=tolerate,
    )


def execute(*args: str, env: Sequence[str] = ("PATH=/bin",)) -> list[Operation]:
    """The last operations of a plan."""
    return [op("keep_fds", "", 0), op("exec", "", list(args), list(env))]


def container(
    rootfs: Path,
    args: Sequence[str],
    mounts: Sequence[Operation] = (),
    rootfs_phase: Sequence[Operation] = (),
    late: Sequence[Operation] = (),
    first: Sequence[Operation] = (),
    isolate: Sequence[Operation] = (),
    flags: int = NEWNS | NEWPID | NEWUTS | NEWIPC,
    env: Sequence[str] = ("PATH=/bin",),
    pivot: str = "pivot_root",
) -> list[Operation]:
    """A plan for a whole container. With NEWUSER in `flags` its root is an ordinary user of the host."""
    identity = [sync("idmaps", "", "identity"), op("become_root", "")] if flags & NEWUSER else []
    return [
        *first,
        op("spawn", "", flags, ""),
        *identity,
        op("new_session", ""),
        *isolate,
        op("propagate_root", "", MS_SLAVE | MS_REC),
        op("open_null", "", "null"),
        op("open_root", "", 1, str(rootfs)),
        *mounts,
        op(pivot, ""),
        *rootfs_phase,
        *[item for item in late if item.phase <= PHASE_NUMBER["start"]],
        op("keep_fds", "", 0),
        *[item for item in late if item.phase > PHASE_NUMBER["start"]],
        op("exec", "", list(args), list(env)),
    ]


PROC = mount("/proc", "proc", attr=NOSUID | NODEV | NOEXEC, tolerate="ordinary_folder")


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]
