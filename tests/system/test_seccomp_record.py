"""`seccomp record` and `seccomp explain`: profiles learned from programs, that fit them and nothing more."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .box import Box
from .conftest import Bundle
from .runtime import Runtime

pytestmark = pytest.mark.only("pyrunc")
THREADS = """
import os, subprocess, threading
threads = [threading.Thread(target=call) for call in (os.sync, lambda: os.getpriority(0, 0)) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
subprocess.run(["chroot", "/", "true"])
"""


def names(profile: dict[str, Any]) -> list[str]:
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    return list(profile["syscalls"][0]["names"])


def recorded(runtime: Runtime, *arguments: str) -> Any:
    result = runtime("seccomp", "record", *arguments)
    if "BPF" in result.err or "cgroup2" in result.err:
        pytest.skip(result.err)
    return result


def test_program(runtime: Runtime) -> None:
    """Calls of all threads and children are found, others are not; the exit code is the program's."""
    result = recorded(runtime, "--", sys.executable, "-c", THREADS + "raise SystemExit(7)")

    assert result.status == 7
    assert {"sync", "getpriority", "chroot", "execve"} <= set(names(json.loads(result.out)))
    assert not {"mount", "swapon", "reboot"} & set(names(json.loads(result.out)))


def test_bundle(runtime: Runtime, bundle: Bundle) -> None:
    """What was recorded of a container is a filter under which it works, and by which it can do nothing else."""
    box: Box = bundle("sh", "-c", "mkdir /tmp/x && ls /tmp")
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_KILL"}],
    }
    box.write()
    output = box.folder / "profile.json"

    result = recorded(runtime, "--bundle", str(box.folder), "--output", str(output))
    assert result.ok, result
    assert result.out.strip() == "x"

    box.linux["seccomp"] = json.loads(output.read_text())
    (box.rootfs / "tmp/x").rmdir()
    assert box.output_of("mkdir /tmp/x && ls /tmp") == "x"
    assert not box.sh("ln -s /tmp /tmp/link").run().ok


def test_refused_calls(runtime: Runtime, tmp_path: Path) -> None:
    """Which of the recorded calls another profile refuses; all that are allowed is success."""
    calls, profile = tmp_path / "calls.json", tmp_path / "profile.json"
    calls.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["mkdirat", "sync", "read"], "action": "SCMP_ACT_ALLOW"}]}))  # fmt: skip
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 18}]}))  # fmt: skip

    refused = runtime("seccomp", "explain", "--json", str(profile), "--calls", str(calls))
    assert refused.status == 1
    assert [(item["call"], item["errno"], item["pointer"]) for item in json.loads(refused.out)] == [
        ("sync", "EXDEV", "syscalls[0]")
    ]
    assert runtime("seccomp", "explain", str(calls), "--calls", str(calls)).ok


def test_explain_container(runtime: Runtime, bundle: Bundle) -> None:
    """A running container's profile, a bundle's and a config.json's are explained alike."""
    box = bundle()
    from_three = {"index": 1, "value": 3, "op": "SCMP_CMP_GE"}
    rule = {"names": ["sync"], "action": "SCMP_ACT_ERRNO", "args": [from_three]}
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    box.up()
    for place in (box.id, str(box.folder), str(box.folder / "config.json")):
        first = runtime("seccomp", "explain", place, "sync", "arg1=0x3")
        assert first.out.splitlines()[0].endswith("SCMP_ACT_ERRNO EPERM"), first
        assert "linux.seccomp.syscalls[0]: because arg1 >= 0x3" in first.out
        assert runtime("seccomp", "explain", place, "sync", "1=2").out.splitlines()[0].endswith("SCMP_ACT_ALLOW")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "nobody", "sync"], "does not exist"),
        (["explain", "/nowhere", "sync"], "ENOENT"),
        (["explain", "."], "requires a profile"),
        (["record"], "requires a program"),
        (["forget"], "knows record and explain"),
    ],
)
def test_mistakes(runtime: Runtime, arguments: list[str], says: str) -> None:
    """A wrong command line is one error that says so."""
    result = runtime("seccomp", *arguments)

    assert result.status == 1
    assert says in result.err
    assert "internal error" not in result.err
