"""The state of a container as runtime.md defines it, and what travels to a seccomp agent.

Loaded where hooks or an agent are told about a container, so it must not import `json`.
"""

from __future__ import annotations

from pyrunc.specs.decode import INT64, Node, decode

try:
    from _json import encode_basestring_ascii as quote
except ImportError:
    from json.encoder import encode_basestring_ascii as quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"
SECCOMP_FD_NAME = "seccompFd"


class State:
    """`pid` 0: there is no process, and none is shown."""

    __slots__ = ("annotations", "bundle", "id", "oci_version", "pid", "status")

    def __init__(
        self,
        oci_version: str,
        id: str,
        status: str,
        pid: int,
        bundle: str,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        self.oci_version = oci_version
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations or {}

    def encode(self) -> str:
        members = [f'"ociVersion":{quote(self.oci_version)},"id":{quote(self.id)},"status":{quote(self.status)}']
        if self.pid:
            members.append(f'"pid":{self.pid}')
        members.append(f'"bundle":{quote(self.bundle)}')
        if self.annotations:
            pairs = ",".join([f"{quote(key)}:{quote(value)}" for key, value in self.annotations.items()])
            members.append(f'"annotations":{{{pairs}}}')
        return f"{{{','.join(members)}}}"


def decode_state(data: bytes) -> State:
    """What a hook reads from its standard input."""
    node = Node(decode(data))
    return State(
        node.required_text("ociVersion"), node.required_text("id"), node.required_text("status"),
        node.integer("pid", (0, INT64[1])) or 0, node.required_text("bundle"), node.text_map("annotations"),
    )  # fmt: skip


def container_process_state(state: State, pid: int, metadata: str) -> str:
    """What a seccomp agent gets along with the listener's descriptor: `pid` is the process that the filter is for."""
    shown = f'"metadata":{quote(metadata)},' if metadata else ""
    return (
        f'{{"ociVersion":{quote(state.oci_version)},"fds":["{SECCOMP_FD_NAME}"],"pid":{pid},{shown}'
        f'"state":{state.encode()}}}'
    )  # fmt: skip
