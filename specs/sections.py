"""Sections of config.json that most documents lack: hooks, devices, scheduling, RDT and others.

Loaded for a document that has one of them; must import `decode` only.
"""

from __future__ import annotations

from pyrunc.specs.decode import ID, INT32, INT64, UINT32, UINT64, Node


class Hooks:
    __slots__ = (
        "create_container", "create_runtime", "pointer", "poststart", "poststop", "prestart", "start_container",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.prestart = node.children("prestart", Hook)
        self.create_runtime = node.children("createRuntime", Hook)
        self.create_container = node.children("createContainer", Hook)
        self.start_container = node.children("startContainer", Hook)
        self.poststart = node.children("poststart", Hook)
        self.poststop = node.children("poststop", Hook)


class Hook:
    __slots__ = ("args", "env", "path", "pointer", "timeout")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.path = node.required_text("path")
        self.args = node.texts("args")
        self.env = node.texts("env")
        self.timeout = node.integer("timeout", INT32)


class ConsoleSize:
    __slots__ = ("height", "pointer", "width")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.height = node.required_integer("height", UINT64)
        self.width = node.required_integer("width", UINT64)


class Scheduler:
    __slots__ = ("deadline", "flags", "nice", "period", "pointer", "policy", "priority", "runtime")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.policy = node.text("policy")
        self.nice = node.integer("nice", INT32) or 0
        self.priority = node.integer("priority", INT32) or 0
        self.flags = node.texts("flags")
        self.runtime = node.integer("runtime", UINT64) or 0
        self.deadline = node.integer("deadline", UINT64) or 0
        self.period = node.integer("period", UINT64) or 0


class IOPriority:
    __slots__ = ("class_", "pointer", "priority")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.class_ = node.text("class")
        self.priority = node.integer("priority", INT32) or 0


class CPUAffinity:
    """Lists such as `0-3,7`, empty when not set."""

    __slots__ = ("final", "initial", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.initial = node.text("initial")
        self.final = node.text("final")


class TimeOffset:
    __slots__ = ("nanosecs", "pointer", "secs")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.secs = node.integer("secs", INT64) or 0
        self.nanosecs = node.integer("nanosecs", UINT32) or 0


class Device:
    """`file_mode` is the number as written: permission bits, at times with a file type that `type` says better."""

    __slots__ = ("file_mode", "gid", "major", "minor", "path", "pointer", "type", "uid")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.type = node.required_text("type")
        self.path = node.required_text("path")
        if self.type != "p":
            node.need("major"), node.need("minor")
        self.major = node.integer("major", INT64) or 0
        self.minor = node.integer("minor", INT64) or 0
        self.file_mode = node.integer("fileMode", UINT32)
        self.uid = node.integer("uid", ID)
        self.gid = node.integer("gid", ID)


class NetDevice:
    """`name` empty: the name it has on the host."""

    __slots__ = ("name", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.name = node.text("name")


class IntelRdt:
    __slots__ = ("clos_id", "enable_monitoring", "l3_cache_schema", "mem_bw_schema", "pointer", "schemata")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.clos_id = node.text("closID")
        self.schemata = node.texts("schemata")
        self.l3_cache_schema = node.text("l3CacheSchema")
        self.mem_bw_schema = node.text("memBwSchema")
        self.enable_monitoring = node.flag("enableMonitoring")


class MemoryPolicy:
    __slots__ = ("flags", "mode", "nodes", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.mode = node.text("mode")
        self.nodes = node.text("nodes")
        self.flags = node.texts("flags")


class Personality:
    __slots__ = ("domain", "flags", "pointer")

    def __init__(self, node: Node) -> None:
        self.pointer = node.pointer
        self.domain = node.required_text("domain")
        self.flags = node.texts("flags")
