"""The state of a container as runtime.md defines it: what a hook reads, and what a program that looks at containers may
check. Written is it by whoever keeps it (`pyrunc/record.py`)."""

from __future__ import annotations

from pyrunc.specs.decode import INT64, Node, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class State:
    """`pid` 0: there is no process."""

    __slots__ = ("annotations", "bundle", "id", "oci_version", "pid", "status")

    def __init__(
        self, oci_version: str, id: str, status: str, pid: int, bundle: str, annotations: Mapping[str, str]
    ) -> None:
        self.oci_version = oci_version
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations


def decode_state(data: bytes) -> State:
    """What a hook reads from its standard input."""
    node = Node(decode(data))
    return State(
        node.required_text("ociVersion"), node.required_text("id"), node.required_text("status"),
        node.integer("pid", (0, INT64[1])) or 0, node.required_text("bundle"), node.text_map("annotations"),
    )  # fmt: skip
