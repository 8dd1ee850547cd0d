"""linux.seccomp of config.json. Loaded for a document that has it; must import `decode` only."""

from __future__ import annotations

from pyrunc.specs.decode import UINT32, UINT64, Node


class Seccomp:
    """`flags` None: the runtime may choose; `()`: none of them."""

    __slots__ = (
        "architectures", "default_action", "default_errno_ret", "flags", "listener_metadata", "listener_path",
        "pointer", "syscalls",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.default_action = node.required_text("defaultAction")
        self.default_errno_ret = node.integer("defaultErrnoRet", UINT32)
        self.architectures = node.texts("architectures")
        self.flags = node.optional_texts("flags")
        self.listener_path = node.text("listenerPath")
        self.listener_metadata = node.text("listenerMetadata")
        self.syscalls = node.children("syscalls", SeccompSyscall)


class SeccompSyscall:
    __slots__ = ("action", "args", "errno_ret", "names", "pointer")

    def __init__(self, node: Node) -> None:
        node.need("names")
        self.pointer = node.pointer
        self.names = node.texts("names")
        self.action = node.required_text("action")
        self.errno_ret = node.integer("errnoRet", UINT32)
        self.args = node.children("args", SeccompArg)


class SeccompArg:
    """`value_two` counts for SCMP_CMP_MASKED_EQ only: `value` is then the mask."""

    __slots__ = ("index", "op", "pointer", "value", "value_two")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.index = node.required_integer("index", UINT32)
        self.value = node.required_integer("value", UINT64)
        self.value_two = node.integer("valueTwo", UINT64) or 0
        self.op = node.required_text("op")
