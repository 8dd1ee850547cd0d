"""Speaks with CRIU: one process `criu swrk FD`, one request, its notifications, one response.

    we                                criu swrk
    request {type, opts}  ----------> does it
              <---------------------- NOTIFY script [fd]
    notify_success        ---------->            ... as often as it likes
              <---------------------- the response of that type, or success: false
    close                 ----------> ends

`ask` starts a criu of its own for that (checkpoints, questions); a restore is done by one that a plan has started in
the container's cgroup, and only `converse`s. Must not know containers.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping

from pyrunc.sandbox.compile.process import DEFAULT_PATH
from pyrunc.sandbox.criu import rpc
from pyrunc.specs.errors import Failure, PyruncError

# Gets the pid of the notification or 0, and the fd that came with it or -1, which is its own then.
Handler = Callable[[int, int], None]

IDLE = 1.0  # seconds
LARGEST = 40960  # bytes of a message; CRIU's own limit is 8192
HARMLESS = "rlimit: Can't setup RLIMIT_NOFILE for self"  # said in many containers, before it goes on
OLDEST = 30000  # 3.0, the first that tells its version


class Refused(PyruncError):
    """CRIU said no. `words` are what it says of itself; its log has the rest."""

    def __init__(self, kind: int, number: int, words: str) -> None:
        super().__init__(f"criu failed: type {rpc.TYPES.get(kind, kind)} errno {number}")
        self.words = words


def program() -> str:
    """The path of criu."""
    found = shutil.which("criu", path=os.environ.get("PATH") or DEFAULT_PATH)
    if found is None:
        raise Failure(
            "run criu", detail='exec: "criu": executable file not found in $PATH',
            hint="checkpoint and restore are CRIU's work: install it (https://criu.org)",
        )  # fmt: skip
    return os.path.abspath(found)


def link() -> tuple[socket.socket, socket.socket]:
    """Our end and criu's of a new conversation."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def ask(request: rpc.Message, handlers: Mapping[str, Handler] | None = None) -> rpc.Message:
    """Has a new criu do what `request` says, and waits for its end. Raises Refused, and what a handler raises."""
    ours, theirs = link()
    with ours:
        with theirs:
            command = [program(), "swrk", str(theirs.fileno())]
            # Without our standard streams: criu writes its log, and whoever reads ours must not wait for it.
            criu = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            response = converse(ours, request, handlers or {})
        finally:
            ours.close()
            status = criu.wait()
    # After a pre-dump it waits for the dump that belongs to it, and complains that we go instead.
    if status and request["type"] != rpc.PRE_DUMP:
        raise PyruncError(f"criu failed: exit status {status}")
    return response


def converse(
    link: socket.socket, request: rpc.Message, handlers: Mapping[str, Handler], idle: Callable[[], None] | None = None
) -> rpc.Message:
    """Sends the request and answers notifications until the response comes. A handler that raises makes CRIU undo
    what it has done; what it raised is raised then. `idle` is called after each second of silence."""
    failed: BaseException | None = None
    _send(link, request)
    while True:
        while idle is not None and not select.select([link], [], [], IDLE)[0]:
            idle()
        try:
            response, fd = _receive(link)
        except PyruncError:
            if failed is not None:  # it has ended over what we refused
                raise failed from None
            raise
        if response["type"] != rpc.NOTIFY:
            break
        try:
            _notified(response.get("notify", {}), fd, handlers)
        except BaseException as error:
            failed = failed or error
        _send(link, {"type": rpc.NOTIFY, "notify_success": failed is None})
    if failed is not None:
        raise failed
    if not response.get("success"):
        raise Refused(response["type"], response.get("cr_errno", 0), response.get("cr_errmsg", ""))
    return response


def _notified(notify: rpc.Message, fd: int, handlers: Mapping[str, Handler]) -> None:
    handler = handlers.get(notify.get("script", ""))
    if handler is not None:
        handler(notify.get("pid", 0), fd)
    elif fd >= 0:
        os.close(fd)


def _send(link: socket.socket, message: rpc.Message) -> None:
    try:
        link.send(rpc.encode("req", message))
    except OSError:
        raise _gone() from None


def _receive(link: socket.socket) -> tuple[rpc.Message, int]:
    try:
        data, fds, _, _ = socket.recv_fds(link, LARGEST, 1, socket.MSG_CMSG_CLOEXEC)
        response = rpc.decode("resp", data)
    except OSError:
        raise _gone() from None
    except ValueError as error:
        raise PyruncError(f"unable to parse the response of criu: {error}") from None
    if "type" not in response:
        raise _gone()
    return response, fds[0] if fds else -1


def _gone() -> PyruncError:
    return PyruncError("criu has ended without an answer", hint="its log, or `dmesg`, may tell why")


def version() -> int:
    """30000 for 3.0, 31501 for 3.15.1; a build from git counts as the next minor version."""
    found = ask({"type": rpc.VERSION}).get("version", {})
    number: int = found.get("major_number", 0) * 10000 + found.get("minor_number", 0) * 100 + found.get("sublevel", 0)
    return number - number % 100 + 100 if found.get("gitid") else number


def check_version(wanted: int, what: str = "") -> None:
    """Raises PyruncError for a criu older than `wanted`, which `what` needs."""
    found = version()
    if found < wanted:
        words = f"{what} requires at least CRIU {wanted // 10000}.{wanted % 10000 // 100}"
        raise PyruncError(words if what else f"CRIU version {found} must be {wanted} or higher")


def check_feature(name: str) -> None:
    """Raises PyruncError where CRIU or the kernel lacks `mem_track` or `lazy_pages`."""
    found = ask({"type": rpc.FEATURE_CHECK, "features": {name: True}}).get("features", {})
    if not found.get(name):
        label = "".join(part.capitalize() for part in name.split("_"))
        raise PyruncError(f"criu is missing features: [{label}]")


def explain(refusal: Refused, operation: str, log: str) -> Failure:
    """The failure with CRIU's own first word on the cause, which its log has."""
    words = _first_error(log) or refusal.words.strip()
    detail = f"{refusal.message}: {words}" if words else refusal.message
    return Failure(operation, detail=detail, hint=f"CRIU's log is {log}")


def _first_error(log: str) -> str:
    """`Error (criu/files-reg.c:1817): Can't open file ...`, without the time before it."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                if "Error (" in line and HARMLESS not in line:
                    return line[line.index("Error (") :].strip()
    except OSError:
        pass  # it ended before there was a log
    return ""
