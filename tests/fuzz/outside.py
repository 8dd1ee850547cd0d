"""Fuzzers of the parsers for what others say while a container is made: systemd and its bus, annotations, CRIU, the
authors of seccomp profiles. As in targets.py: any exception but a PyruncError is a find, and what was accepted must
come out of a round trip as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pyrunc.sandbox.criu import rpc
from pyrunc.sandbox.seccomp import filter_for
from pyrunc.sandbox.seccomp.explain import Explainer
from pyrunc.sandbox.systemd import gvariant as texts
from pyrunc.sandbox.systemd.message import SIGNATURE, call, encode, parse, size
from pyrunc.specs.decode import Node, decode
from pyrunc.specs.errors import PyruncError
from pyrunc.specs.seccomp import Seccomp
from pyrunc.specs.seccomp_rules import seccomp_problems

GOLDEN = Path(__file__).parents[1] / "golden"
MACHINES = ("x86_64", "aarch64")
VALUES = (
    "true", "'text'", "uint64 5", "@as []", "[('a', 1), ('b', 2)]", "<'inner'>", "b'bytes'", "1.5", "0x1f", "word",
    "[byte 1, 2]", "@a(ss) [('/dev/null', 'rw')]", "\"\\u00e9\\n\"", "-7", "int64 -1", "objectpath '/a'",
)  # fmt: skip


def dbus(data: bytes) -> None:
    """A message of a bus: its length is told before it is read, and its body is what its signature says."""
    try:
        whole = size(data)
        message = parse(data)
    except PyruncError:
        return
    assert 0 < whole <= 1 << 27
    signature = message.fields.get(SIGNATURE, "")
    again = parse(call(1, "/", "a.b", "C", signature, tuple(message.body)))
    assert repr(again.body) == repr(message.body), (signature, message.body)


def gvariant(data: bytes) -> None:
    """The text of a property: a value that D-Bus can carry, or a refusal."""
    text = data.decode("utf-8", "surrogateescape")
    for name in ("Property", "TimeoutSec", "TimeoutUSec"):
        try:
            found = texts.annotated({texts.PREFIX + name: text})
            sent = encode("a(sv)", ([(one, (kind, value)) for one, kind, value in found],))
        except PyruncError:
            continue
        assert repr(parse(call(1, "/", "a.b", "C", "a(sv)", ([(n, (k, v)) for n, k, v in found],))).body[0])
        assert len(sent) > len(name)


def criu(data: bytes) -> None:
    """An answer of CRIU: the same dictionary again after a round trip."""
    try:
        found = rpc.decode("resp", data)
    except ValueError:
        return
    assert rpc.decode("resp", rpc.encode("resp", found)) == found


def seccomp(data: bytes) -> None:
    """A profile: refused, or a program that the kernel's limit admits and of which can be told what it does."""
    try:
        profile = Seccomp(Node(decode(data)))
        for problem in seccomp_problems(profile):
            raise problem
        for machine in MACHINES:
            made = filter_for(profile, None, machine)
            assert made is None or (0 < len(made[1]) <= 4096 * 8 and len(made[1]) % 8 == 0)
        Explainer(profile, MACHINES[0]).verdict("openat", {1: 7})
    except PyruncError:
        pass


def _messages() -> list[bytes]:
    """Calls, because they have all kinds of fields; the other kinds differ in one byte."""
    bodies = (
        ("", ()), ("s", ("text",)), ("ao", (["/a", "/b"],)), ("uoss", (7, "/job/1", "a.scope", "done")),
        ("a(sv)", ([("PIDs", ("au", [1, 2])), ("Slice", ("s", "a.slice"))],)), ("vay", (("s", "/x"), b"bytes")),
        ("a{sv}", ([("a", ("b", True))],)), ("ynqiuxtdg", (1, -2, 3, -4, 5, -6, 7, 1.5, "s")),
    )  # fmt: skip
    return [call(9, "/a", "a.b", "C", kind, body, "d.e") for kind, body in bodies]


def _answers() -> list[bytes]:
    answers = (
        {"type": rpc.NOTIFY, "success": True, "notify": {"script": "post-restore", "pid": 7}},
        {"type": rpc.RESTORE, "success": True, "restore": {"pid": 7}},
        {"type": rpc.DUMP, "success": False, "cr_errno": 3, "cr_errmsg": "no"},
        {"type": rpc.VERSION, "success": True, "version": {"major_number": 4, "minor_number": 2, "gitid": "v4"}},
        {"type": rpc.FEATURE_CHECK, "success": True, "features": {"mem_track": True}},
    )
    return [rpc.encode("resp", answer) for answer in answers]


def _profiles() -> list[bytes]:
    documents = [json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))]
    found = [document["linux"]["seccomp"] for document in documents if "seccomp" in document.get("linux", {})]
    found.append(
        {
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/a", "syscalls": [
                {"names": ["openat", "no_such"], "action": "SCMP_ACT_NOTIFY"},
                {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [
                    {"index": 0, "value": 38, "op": "SCMP_CMP_NE"},
                ]},
                {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
                    {"index": 0, "value": 7, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"},
                    {"index": 1, "value": 9, "op": "SCMP_CMP_LT"}, {"index": 1, "value": 3, "op": "SCMP_CMP_GE"},
                ]},
            ],
        }
    )  # fmt: skip
    return [json.dumps(profile).encode() for profile in found]


OUTSIDE: dict[str, Callable[[bytes], None]] = {"dbus": dbus, "gvariant": gvariant, "criu": criu, "seccomp": seccomp}


def outside_seeds(name: str) -> list[bytes]:
    """Good messages, values, answers and profiles."""
    kinds = {"dbus": _messages, "criu": _answers, "seccomp": _profiles}
    return kinds[name]() if name in kinds else [text.encode() for text in VALUES]
