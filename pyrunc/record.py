"""What pyrunc knows of one container: the `state` file as a value, and as JSON for people, engines and hooks. Hot path.

Text in, text out; must touch no file. docs/architecture.md fixes the form; the front in C reads the same text.
"""

from __future__ import annotations

import time

from pyrunc.specs.errors import PyruncError

try:
    from _json import encode_basestring_ascii, scanstring
except ImportError:  # private to CPython; `json` costs 7 ms more
    from json.decoder import scanstring  # type: ignore[attr-defined, no-redef]
    from json.encoder import encode_basestring_ascii

quote = encode_basestring_ascii

FORM = "pyrunc-state"
FORM_VERSION = 1


class Damaged(PyruncError):
    """A state file that cannot be understood, though its version is ours."""


class Record:
    """The `state` file as a value.

    `annotations` is a JSON text as in the file, "" when there are none (see `json_object`); `freezer` is None or
    ("v1" | "v2", path of the file); `cgroups` are the folders that we made, deepest first, `resctrl` those
    for caches and memory bandwidth; `unit` is None or ("system" | "user", name) of the systemd unit of the cgroups;
    `keyring` says whether its processes have a session keyring of their own.
    """

    __slots__ = (
        "annotations",
        "bundle",
        "cgroups",
        "created",
        "freezer",
        "id",
        "keyring",
        "needs",
        "oci_version",
        "owner",
        "pid",
        "resctrl",
        "rootfs",
        "start",
        "unit",
    )

    def __init__(
        self,
        *,
        id: str,
        oci_version: str,
        bundle: str,
        rootfs: str,
        created: str,
        pid: int = 0,
        start: int = 0,
        owner: str = "",
        annotations: str = "",
        freezer: tuple[str, str] | None = None,
        cgroups: list[str] | None = None,
        needs: list[str] | None = None,
        resctrl: list[str] | None = None,
        unit: tuple[str, str] | None = None,
        keyring: bool = True,
    ) -> None:
        self.id = id
        self.oci_version = oci_version
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.pid = pid
        self.start = start
        self.owner = owner
        self.annotations = annotations
        self.freezer = freezer
        self.cgroups = cgroups or []
        self.needs = needs or []
        self.resctrl = resctrl or []
        self.unit = unit
        self.keyring = keyring

    def encode(self) -> str:
        """The text of the state file."""
        lines = [
            f"{FORM} {FORM_VERSION}",
            f"ociVersion {quote(self.oci_version)}",
            f"id {quote(self.id)}",
            f"pid {self.pid}",
            f"start {self.start}",
            f"bundle {quote(self.bundle)}",
            f"rootfs {quote(self.rootfs)}",
            f"created {quote(self.created)}",
            f"owner {quote(self.owner)}",
        ]
        if self.annotations:
            lines.append(f"annotations {self.annotations}")
        if self.freezer:
            lines.append(f"freezer {self.freezer[0]} {self.freezer[1]}")
        lines.extend(f"cgroup {path}" for path in self.cgroups)
        lines.extend(f"resctrl {path}" for path in self.resctrl)
        if self.unit:
            lines.append(f"unit {self.unit[0]} {self.unit[1]}")
        if not self.keyring:
            lines.append("keyring none")
        if self.needs:
            lines.append("needs " + " ".join(self.needs))
        # The kernel allows no newline in a cgroup's name, and JSON texts have none; a line more would be a key more.
        if any("\n" in line for line in lines):
            raise PyruncError(f"cannot keep the state of container {self.id}: a path in it has a newline")
        return "\n".join(lines) + "\n"

    @staticmethod
    def decode(text: str) -> Record:
        """The value of a state file. Unknown keys are left out: a later version may add some without a new number."""
        lines = text.split("\n")
        name, _, version = lines[0].partition(" ")
        if name != FORM or not version.isdecimal() or lines[-1]:
            raise Damaged("no state file of pyrunc")
        if int(version) > FORM_VERSION:
            raise PyruncError(f"its state is of form {version}, from a newer pyrunc; this one knows {FORM_VERSION}")
        found: dict[str, str] = {}
        folders: dict[str, list[str]] = {"cgroup": [], "resctrl": []}
        for line in lines[1:-1]:
            key, _, value = line.partition(" ")
            if key in folders:
                folders[key].append(value)
            else:
                found[key] = value
        try:
            kind, _, path = found.get("freezer", "").partition(" ")
            manager, _, unit = found.get("unit", "").partition(" ")
            return Record(
                id=_unquote(found["id"]),
                oci_version=_unquote(found["ociVersion"]),
                bundle=_unquote(found["bundle"]),
                rootfs=_unquote(found["rootfs"]),
                created=_unquote(found["created"]),
                pid=int(found["pid"]),
                start=int(found["start"]),
                owner=_unquote(found["owner"]),
                annotations=found.get("annotations", ""),
                freezer=(kind, path) if path else None,
                cgroups=folders["cgroup"],
                resctrl=folders["resctrl"],
                needs=found.get("needs", "").split(),
                unit=(manager, unit) if unit else None,
                keyring="keyring" not in found,
            )
        except KeyError as missing:
            raise Damaged(f"its state has no {missing.args[0]}") from None
        except ValueError:
            raise Damaged("its state has a value that is none") from None


def json_object(texts: dict[str, str]) -> str:
    """Annotations as the JSON text that a `Record` keeps; "" for none."""
    return "{" + ", ".join(f"{quote(key)}: {quote(texts[key])}" for key in texts) + "}" if texts else ""


def state_json(record: Record, status: str, indent: str = "  ", owner: str | None = None) -> str:
    """The state of a container as JSON, for `state`, `list` and hooks. An empty `indent` makes it one line.

    The front in C answers `state` alone in most cases: the two must be alike to the byte.
    """
    pairs = [
        ("ociVersion", quote(record.oci_version)),
        ("id", quote(record.id)),
        ("pid", "0" if status == "stopped" else str(record.pid)),
        ("status", quote(status)),
        ("bundle", quote(record.bundle)),
        ("rootfs", quote(record.rootfs)),
        ("created", quote(record.created)),
    ]
    if record.annotations:
        pairs.append(("annotations", _indented(record.annotations, indent) if indent else record.annotations))
    pairs.append(("owner", quote(record.owner if owner is None else owner)))
    if not indent:
        return "{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}"
    return "{\n" + ",\n".join(f'{indent}"{key}": {value}' for key, value in pairs) + "\n}"


def _indented(object: str, indent: str) -> str:
    """What `json_object` made, with one member a line."""
    members = []
    start = 1
    while start < len(object):
        key_end = scanstring(object, start + 1)[1]
        end = scanstring(object, key_end + len(': "'))[1]
        members.append(f"{indent * 2}{object[start:end]}")
        start = end + len(", ")
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def timestamp() -> str:
    """Now, as RFC 3339 with nanoseconds."""
    now = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000)) + f".{now % 1_000_000_000:09d}Z"


def _unquote(text: str) -> str:
    value, end = scanstring(text, 1) if text.startswith('"') else ("", -1)
    if end != len(text):
        raise ValueError(text)
    return value
