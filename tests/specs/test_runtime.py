"""config.json as typed values: defaults, ranges, and every section of the specification."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyrunc.specs import resources, runtime, seccomp, sections
from pyrunc.specs.decode import Node
from pyrunc.specs.default import default_spec
from pyrunc.specs.errors import Invalid
from pyrunc.specs.runtime import Resources, decode_process, decode_spec
from tests.specs.documents import changed, example, small, spec_of, whole

# Attributes that do not have the snake_case of the member's name.
NAMES = {
    "oomScoreAdj": "oom_score_adj", "ioPriority": "io_priority", "execCPUAffinity": "exec_cpu_affinity",
    "class": "class_",
    "uidMappings": "uid_mappings", "containerID": "container_id", "hostID": "host_id", "kernelTCP": "kernel_tcp",
    "disableOOMKiller": "disable_oom_killer", "blockIO": "block_io", "classID": "class_id", "closID": "clos_id",
    "l3CacheSchema": "l3_cache_schema", "throttleReadIOPSDevice": "throttle_read_iops_device",
    "throttleWriteIOPSDevice": "throttle_write_iops_device",
}  # fmt: skip


def attribute(name: str) -> str:
    return NAMES.get(name) or "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def compare(value: Any, typed: object, place: str) -> None:
    """Every member of `value` is in `typed`, under its name, and `typed` knows where it stands."""
    if isinstance(value, dict) and isinstance(typed, dict):
        assert value.keys() == typed.keys(), place
        for key, item in value.items():
            compare(item, typed[key], f'{place}["{key}"]')
    elif isinstance(value, dict):
        assert typed.pointer == place  # type: ignore[attr-defined]
        for key, item in value.items():
            compare(item, getattr(typed, attribute(key)), f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        assert isinstance(typed, tuple)
        assert len(value) == len(typed), place
        for index, item in enumerate(value):
            compare(item, typed[index], f"{place}[{index}]")
    else:
        assert typed == value, place


@pytest.mark.parametrize("document", [small(), example("config"), whole(), default_spec(), default_spec(rootless=True)])
def test_keeps_every_value_and_its_place(document: dict[str, Any]) -> None:
    """No value of a document is lost or changed, and every object says where it stands."""
    compare(document, spec_of(document), "")


def test_the_whole_document_is_whole() -> None:
    """No attribute of any class is without an example, so the test above covers them all."""
    seen: dict[type, set[str]] = {}

    def visit(value: Any, typed: object) -> None:
        if isinstance(value, dict) and not isinstance(typed, dict):
            seen.setdefault(type(typed), {"pointer"}).update(attribute(key) for key in value)
            for key, item in value.items():
                visit(item, getattr(typed, attribute(key)))
        elif isinstance(value, dict):
            for key, item in value.items():
                visit(item, typed[key])  # type: ignore[index]
        elif isinstance(value, list):
            for item, part in zip(value, typed, strict=True):  # type: ignore[call-overload]
                visit(item, part)

    visit(whole(), spec_of(whole()))
    kinds = [
        kind
        for module in (runtime, resources, seccomp, sections)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind not in (Node, Invalid)
    ]

    assert set(kinds) == set(seen)
    for kind in kinds:
        assert set(kind.__slots__) - seen[kind] == set(), kind  # type: ignore[attr-defined]


def test_defaults() -> None:
    """What is absent has one meaning, settled by the decoder."""
    spec = spec_of({"ociVersion": "1.0.0", "process": {"cwd": "/"}})
    process = spec.process

    assert (spec.root, spec.hooks, spec.mounts, spec.annotations, spec.hostname) == (None, None, (), {}, "")
    assert spec.linux.pointer == "linux"
    assert (spec.linux.namespaces, spec.linux.resources, spec.linux.seccomp, spec.linux.sysctl) == ((), None, None, {})
    assert process is not None
    assert (process.user.uid, process.user.gid, process.user.umask, process.user.additional_gids) == (0, 0, None, ())
    assert (process.oom_score_adj, process.capabilities, process.console_size, process.terminal) == (
        None,
        None,
        None,
        False,
    )


def test_null_sections_are_absent() -> None:
    """A section that is null is absent."""
    spec = spec_of(
        {"ociVersion": "1.0.0", "hooks": None, "linux": None, "mounts": None, "process": {"cwd": "/", "env": None}}
    )

    assert spec.hooks is None
    assert spec.linux.namespaces == ()
    assert spec.process is not None
    assert spec.process.env == ()


def test_empty_flags_are_not_absent_ones() -> None:
    """Seccomp flags: an empty list forbids what an absent one leaves to the runtime."""
    absent = changed(small(), "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW"})
    empty = changed(absent, "linux/seccomp/flags", [])

    assert [spec_of(d).linux.seccomp.flags for d in (absent, empty)] == [None, ()]  # type: ignore[union-attr]


def test_all_devices() -> None:
    """In device rules absent numbers and the -1 of engines mean all, absent type and access too."""
    document = changed(
        small(), "linux/resources/devices", [{"allow": False}, {"allow": True, "type": "c", "major": -1, "minor": 3}]
    )
    rules = spec_of(document).linux.resources.devices  # type: ignore[union-attr]

    assert [(r.allow, r.type, r.major, r.minor, r.access) for r in rules] == [
        (False, "a", None, None, "rwm"),
        (True, "c", None, 3, "rwm"),
    ]


def test_unknown_members_are_ignored() -> None:
    """Members that the specification does not know may be anything."""
    spec_of(changed(whole(), "linux/resources/future", [1.5, {"x": None}]))
    spec_of(changed(small(), "windows", "whatever"))


@pytest.mark.parametrize(
    ("path", "value", "pointer", "clause"),
    [
        ("hostname", 1, "hostname", "config.md#hostname"),
        ("root/path", None, "root.path", "config.md#root"),
        ("mounts", [{"destination": "/a", "options": [1]}], "mounts[0].options[0]", "config.md#mounts"),
        ("process/user/uid", 4294967295, "process.user.uid", "config.md#posix-platform-user"),
        ("process/user/uid", -1, "process.user.uid", "config.md#posix-platform-user"),
        ("process/user/additionalGids", [0, True], "process.user.additionalGids[1]", "config.md#posix-platform-user"),
        ("process/rlimits", [{"type": "RLIMIT_AS", "soft": 1}], "process.rlimits[0].hard", "config.md#posix-process"),
        ("process/rlimits", [{"type": "RLIMIT_AS", "soft": 1 << 64, "hard": 1}], "process.rlimits[0].soft",
         "config.md#posix-process"),
        ("linux/resources/memory/limit", 1e9, "linux.resources.memory.limit", "config-linux.md#memory"),
        ("linux/resources/blockIO/weight", 65536, "linux.resources.blockIO.weight", "config-linux.md#block-io"),
        ("linux/rootfsPropagation", False, "linux.rootfsPropagation", "config-linux.md#rootfs-mount-propagation"),
        ("linux/devices", [{"type": "c", "path": "/x", "major": 1}], "linux.devices[0].minor",
         "config-linux.md#devices"),
        ("linux/sysctl", {"kernel.sem": 1}, 'linux.sysctl["kernel.sem"]', "config-linux.md#sysctl"),
        ("linux/seccomp", {}, "linux.seccomp.defaultAction", "config-linux.md#seccomp"),
        ("annotations", {"a": None}, 'annotations["a"]', "config.md#annotations"),
    ],
)  # fmt: skip
def test_refuses_with_place_and_clause(path: str, value: object, pointer: str, clause: str) -> None:
    """A value of the wrong kind is refused with its place in the document and the clause about it."""
    with pytest.raises(Invalid) as caught:
        spec_of(changed(small(), path, value))

    assert (caught.value.pointer, caught.value.clause) == (pointer, clause)


def test_null_document() -> None:
    """The document `null` is refused in runc's words, any other that is no object in ours."""
    with pytest.raises(Invalid, match="^config cannot be null$"):
        decode_spec(b"null")
    with pytest.raises(Invalid, match="^expected an object, found an array$"):
        decode_spec(b"[]")


def test_documents_of_their_own() -> None:
    """The documents of `exec --process` and `update --resources` have pointers of their own."""
    assert decode_process(b'{"cwd":"/","args":["a"]}').args == ("a",)
    assert Resources(Node({"pids": {"limit": 0}})).pids.limit == 0  # type: ignore[union-attr]
    with pytest.raises(Invalid) as caught:
        decode_process(b'{"cwd":1}')
    assert caught.value.pointer == "cwd"


LOADED = """
import sys
sys.path.insert(0, {tree!r})
before = set(sys.modules)
from pyrunc.specs.runtime import decode_spec
from pyrunc.specs.rules import check
spec = decode_spec(open({path!r}, "rb").read())
check(spec)
print(*sorted(set(sys.modules) - before))
"""


def loaded(tree: Path, path: Path) -> list[str]:
    program = LOADED.format(tree=str(tree), path=str(path))
    run = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    return run.stdout.split()


BASE = ["__future__", "_json", "pyrunc", "pyrunc.specs", "pyrunc.specs.decode", "pyrunc.specs.errors"]


def test_loads_only_what_it_needs(tree: Path, tmp_path: Path) -> None:
    """A start with a simple document loads no module of the standard library but `_json`, and no section it lacks."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(default_spec()))

    assert loaded(tree, path) == [*BASE, "pyrunc.specs.rules", "pyrunc.specs.runtime"]


def test_loads_sections_with_their_documents(tree: Path, tmp_path: Path) -> None:
    """A document with seccomp and limits loads the modules of these sections, still nothing else."""
    path = tmp_path / "config.json"
    document = changed(default_spec(), "linux/resources/pids", {"limit": 100})
    path.write_text(json.dumps(changed(document, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW"})))
    sections = ["resources", "rules", "runtime", "seccomp", "seccomp_rules"]

    assert loaded(tree, path) == [*BASE, *(f"pyrunc.specs.{name}" for name in sections)]


def test_page_size_in_small_letters() -> None:
    """`pagesize` is understood, as by decoders in Go."""
    from pyrunc.specs.decode import Node
    from pyrunc.specs.resources import HugepageLimit

    assert HugepageLimit(Node({"pagesize": "2MB", "limit": 1})).page_size == "2MB"
