"""The messages of CRIU's RPC as dictionaries and as bytes.

CRIU speaks protobuf over a socket. This is the little of it that the conversation needs, driven by one table of the
fields that we send or read: the well-kept protobuf package takes 40 ms to import and would be a dependency for one
command. Names and numbers are those of CRIU's images/rpc.proto. Pure; unknown fields are passed over, as protobuf asks.
"""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]

# name: {field: (number, kind)}. Kinds: int (varint), bool, text, or the name of a message; `*` in front: repeated.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "req": {
        "type": (1, "int"), "opts": (2, "opts"), "notify_success": (3, "bool"), "features": (5, "features"),
    },
    "opts": {
        "images_dir_fd": (1, "int"), "pid": (2, "int"), "leave_running": (3, "bool"), "ext_unix_sk": (4, "bool"),
        "tcp_established": (5, "bool"), "evasive_devices": (6, "bool"), "shell_job": (7, "bool"),
        "file_locks": (8, "bool"), "log_level": (9, "int"), "log_file": (10, "text"), "ps": (11, "page_server"),
        "notify_scripts": (12, "bool"), "root": (13, "text"), "parent_img": (14, "text"), "track_mem": (15, "bool"),
        "auto_dedup": (16, "bool"), "work_dir_fd": (17, "int"), "link_remap": (18, "bool"),
        "ext_mnt": (23, "*ext_mount"), "manage_cgroups": (24, "bool"), "cg_root": (25, "*cgroup_root"),
        "rst_sibling": (26, "bool"), "inherit_fd": (27, "*inherit_fd"), "manage_cgroups_mode": (34, "int"),
        "external": (37, "*text"), "empty_ns": (38, "int"), "join_ns": (39, "*join_ns"), "freeze_cgroup": (44, "text"),
        "tcp_skip_in_flight": (46, "bool"), "lazy_pages": (48, "bool"), "orphan_pts_master": (50, "bool"),
        "config_file": (51, "text"), "lsm_profile": (53, "text"), "lsm_mount_context": (63, "text"),
    },
    "page_server": {"address": (1, "text"), "port": (2, "int")},
    "ext_mount": {"key": (1, "text"), "val": (2, "text")},
    "cgroup_root": {"ctrl": (1, "text"), "path": (2, "text")},
    "inherit_fd": {"key": (1, "text"), "fd": (2, "int")},
    "join_ns": {"ns": (1, "text"), "ns_file": (2, "text")},
    "features": {"mem_track": (1, "bool"), "lazy_pages": (2, "bool")},
    "resp": {
        "type": (1, "int"), "success": (2, "bool"), "restore": (4, "restored"), "notify": (5, "notify"),
        "cr_errno": (7, "int"), "features": (8, "features"), "cr_errmsg": (9, "text"), "version": (10, "version"),
    },
    "restored": {"pid": (1, "int")},
    "notify": {"script": (1, "text"), "pid": (2, "int")},
    "version": {"major_number": (1, "int"), "minor_number": (2, "int"), "gitid": (3, "text"), "sublevel": (4, "int")},
}  # fmt: skip

# Types of requests, and of the responses to them.
DUMP, RESTORE, PRE_DUMP, NOTIFY, FEATURE_CHECK, VERSION = 1, 2, 4, 6, 9, 10
TYPES = {
    DUMP: "DUMP", RESTORE: "RESTORE", PRE_DUMP: "PRE_DUMP", NOTIFY: "NOTIFY", FEATURE_CHECK: "FEATURE_CHECK",
    VERSION: "VERSION",
}  # fmt: skip
CGROUP_MODES = {"ignore": 0, "soft": 3, "full": 4, "strict": 5, "": 6}

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


def encode(name: str, message: Message) -> bytes:
    """A message as bytes. A key that the table does not have is a mistake of ours: KeyError."""
    out = bytearray()
    for key, value in message.items():
        number, kind = MESSAGES[name][key]
        for item in value if kind.startswith("*") else [value]:
            out += _field(number, kind.lstrip("*"), item)
    return bytes(out)


def _field(number: int, kind: str, value: Any) -> bytes:
    if kind in ("int", "bool"):
        return _varint(number << 3 | VARINT) + _varint(int(value) & (1 << 64) - 1)
    data = value.encode("utf-8", "surrogateescape") if kind == "text" else encode(kind, value)
    return _varint(number << 3 | BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(name: str, data: bytes) -> Message:
    """The message that the bytes are. Raises ValueError for bytes that are none."""
    known = {number: (key, kind) for key, (number, kind) in MESSAGES[name].items()}
    message: Message = {}
    at = 0
    while at < len(data):
        head, at = _read_varint(data, at)
        value, at = _read_value(data, at, head & 7)
        if head >> 3 not in known:
            continue
        key, kind = known[head >> 3]
        if isinstance(value, int) == (kind.lstrip("*") not in ("int", "bool")):
            raise ValueError(f"{key} of {name} has wire type {head & 7}")
        item = _converted(kind.lstrip("*"), value)
        if kind.startswith("*"):
            message.setdefault(key, []).append(item)
        else:
            message[key] = item
    return message


def _converted(kind: str, value: Any) -> Any:
    if kind == "int":
        return value - (1 << 64) if value >> 63 else value
    if kind == "bool":
        return bool(value)
    return value.decode("utf-8", "surrogateescape") if kind == "text" else decode(kind, value)


def _read_value(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == VARINT:
        return _read_varint(data, at)
    if wire == BYTES:
        length, at = _read_varint(data, at)
    elif wire in (FIXED32, FIXED64):
        length = 4 if wire == FIXED32 else 8
    else:
        raise ValueError(f"wire type {wire}")
    if at + length > len(data):
        raise ValueError("a field is cut off")
    return data[at : at + length], at + length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        shift += 7
        at += 1
        if byte < 128:
            return value & (1 << 64) - 1, at
    raise ValueError("a number is cut off")
