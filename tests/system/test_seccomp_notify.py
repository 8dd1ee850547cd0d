"""SCMP_ACT_NOTIFY: the agent of listenerPath gets the listener and the state, and decides."""

from __future__ import annotations

import base64
import errno
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from .agent import Agent
from .box import Box
from .conftest import Bundle
from .test_seccomp import NUMBERS, call, filtered, rule

# What a runtime itself may call between the filter and the program.
OWN_CALLS = (
    "execve openat open read close fcntl writev sendmsg accept4 close_range prctl capset futex mmap munmap "
    "rt_sigaction rt_sigprocmask getpid fstat lseek ioctl clone wait4"
).split()


def notified(box: Box, probe: Path, *names: str, **more: Any) -> Box:
    names = names or ("sync",)
    rules = [rule(name, "SCMP_ACT_NOTIFY") for name in names]
    return filtered(box, probe, *rules, **{"listenerPath": str(box.folder / "agent.sock"), **more})


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_agent_decides(bundle: Bundle, probe: Path, no_new_privileges: bool) -> None:
    """The call's result is the agent's word; others are not asked about."""
    box = notified(bundle(), probe, "sync", "personality")
    box.process["noNewPrivileges"] = no_new_privileges

    with Agent(box.folder / "agent.sock", {NUMBERS["sync"]: errno.EXDEV}) as agent:
        out = box.output_of(f"{call('sync')}; {call('personality', 0xFFFFFFFF)}; {call('getpriority', 0, 0)}")

    assert out.split() == [str(errno.EXDEV), "0", "0"]
    assert agent.calls == [NUMBERS["sync"], NUMBERS["personality"]]
    assert agent.counts == [1]


def test_state(bundle: Bundle, probe: Path) -> None:
    """The first process of a container is announced as it is created, another one as the container runs."""
    box = notified(bundle(), probe, listenerMetadata='a "b"\n')
    box.config["annotations"] = {"some": "thing"}
    with Agent(box.folder / "agent.sock") as agent:
        box.up()
        assert box.exec("true").ok
        pid = box.state()["pid"]

    first, second = agent.states
    wanted = {"ociVersion": first["state"]["ociVersion"], "id": box.id, "pid": pid, "bundle": str(box.folder)}
    for state in (first, second):
        status = state["state"].pop("status")
        assert status == ("creating" if state is first else "running")
        assert state["fds"] == ["seccompFd"]
        assert state["metadata"] == 'a "b"\n'
        assert state["state"] == {**wanted, "annotations": {"some": "thing"}}
    assert first["pid"] == pid
    assert second["pid"] not in (0, pid)


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("start", ["run", "create"])
@pytest.mark.unlike("crun", "sends the listener itself")
def test_own_calls(bundle: Bundle, probe: Path, no_new_privileges: bool, start: str) -> None:
    """Nothing that the runtime does is ahead of the agent: whatever is notified but write, the program runs."""
    box = notified(bundle("true"), probe, *OWN_CALLS)
    box.process["noNewPrivileges"] = no_new_privileges
    box.process["capabilities"]["ambient"] = []

    with Agent(box.folder / "agent.sock") as agent:
        if start == "run":
            assert box.run().ok
        else:
            assert box.create().ok
            assert box.start().ok

    assert agent.calls


def test_start_hook(bundle: Bundle, probe: Path) -> None:
    """A startContainer hook is under the filter, and has no descriptor of the listener."""
    box = notified(bundle("true"), probe, "sync")
    script = f"{call('sync')} > /answer; ls /proc/self/fd > /fds"
    box.config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}

    with Agent(box.folder / "agent.sock", {NUMBERS["sync"]: errno.EXDEV}):
        assert box.run().ok

    assert (box.rootfs / "answer").read_text().strip() == str(errno.EXDEV)
    assert (box.rootfs / "fds").read_text().split() == ["0", "1", "2", "3"]  # 3: the folder that is listed


def test_agent_that_ends(bundle: Bundle, probe: Path) -> None:
    """Without its agent a call is ENOSYS, and nobody waits."""
    box = notified(bundle(), probe).sh(f"while ! test -e /gone; do usleep 1000; done; {call('sync')}")
    with Agent(box.folder / "agent.sock"):
        assert box.run_detached().ok
    (box.rootfs / "gone").touch()

    box.wait_for(f"{errno.ENOSYS}\n")


@pytest.mark.parametrize("path", ["nobody.sock", "@pyrunc-test-nobody", "file", "old"])
@pytest.mark.unlike("crun", "knows no abstract addresses")
def test_nobody_there(bundle: Bundle, probe: Path, path: str) -> None:
    """A socket that nobody serves is an error in runc's words, and nothing is left."""
    box = bundle("true")
    (box.folder / "file").touch()
    full = path if path.startswith("@") else str(box.folder / path)
    notified(box, probe, listenerPath=full)

    result = box.run()

    assert result.status == 1
    assert "failed to connect with seccomp agent" in result.err


@pytest.mark.unlike("crun", "cannot reach it")
def test_abstract_address(bundle: Bundle, probe: Path) -> None:
    """`@name` is an abstract address."""
    box = notified(bundle(), probe, listenerPath=f"@{(name := f'pyrunc-test-{os.getpid()}')}")

    with Agent(f"\0{name}", {NUMBERS["sync"]: errno.EXDEV}):
        assert box.output_of(call("sync")) == str(errno.EXDEV)


@pytest.mark.parametrize("how", ["annotation", "environment"])
@pytest.mark.unlike("runc", "does not know crun's annotations")
def test_receiver(bundle: Bundle, probe: Path, how: str) -> None:
    """Who serves may also be named by crun's annotation, or by the environment."""
    box = notified(bundle(), probe)
    path = box.linux["seccomp"].pop("listenerPath")
    env = {"RUN_OCI_SECCOMP_RECEIVER": path} if how == "environment" else {}
    if how == "annotation":
        box.config["annotations"] = {"run.oci.seccomp.receiver": path}
    box.sh(call("sync")).write()

    with Agent(path, {NUMBERS["sync"]: errno.EXDEV}):
        result = box.runtime("run", "--bundle", str(box.folder), box.id, env=env)

    assert result.out.strip() == str(errno.EXDEV), result


def test_unused_path(bundle: Bundle, probe: Path) -> None:
    """A listenerPath that no rule needs is passed over."""
    box = filtered(bundle("true"), probe, rule("sync"), listenerPath="/nobody/there", listenerMetadata="x")

    assert box.run().ok


@pytest.mark.unlike("runc", "does not know crun's annotations")
def test_ready_filter(bundle: Bundle, probe: Path) -> None:
    """A filter of crun's annotation takes the place of the document's, for `exec` too."""
    load, jump, give = 0x20, 0x15, 0x06
    refused, allowed = 0x50000 | errno.EXDEV, 0x7FFF0000
    steps = [(load, 0, 0, 0), (jump, 0, 1, NUMBERS["sync"]), (give, 0, 0, refused), (give, 0, 0, allowed)]
    program = b"".join(struct.pack("=HBBI", *step) for step in steps)
    box = filtered(bundle(), probe, rule("sync", errnoRet=errno.ENOTTY))
    box.config["annotations"] = {"run.oci.seccomp_bpf_data": base64.b64encode(program).decode()}

    assert box.output_of(call("sync")) == str(errno.EXDEV)
    assert box.up().exec(*call("sync").split()).out.strip() == str(errno.EXDEV)


@pytest.mark.unlike("runc", "does not know crun's annotations")
@pytest.mark.parametrize("value", ["?", "", "AAAA", base64.b64encode(bytes(8 * 4097)).decode()])
def test_ready_filter_that_is_none(bundle: Bundle, value: str) -> None:
    """What is no program is refused, with the annotation's name."""
    box = bundle("true")
    box.config["annotations"] = {"run.oci.seccomp_bpf_data": value}

    assert "run.oci.seccomp_bpf_data" in box.run().err


@pytest.mark.unlike("runc", "does not know crun's annotations")
@pytest.mark.parametrize(("value", "works"), [("1", False), ("0", True)])
def test_unknown_call_refused(bundle: Bundle, probe: Path, value: str, works: bool) -> None:
    """With crun's annotation a name that is no system call is an error, though the filter was compiled before."""
    box = filtered(bundle("true"), probe, rule("surprise_call"), rule("sync"))
    assert box.run().ok
    box.config["annotations"] = {"run.oci.seccomp_fail_unknown_syscall": value}

    result = box.run()

    assert result.ok == works
    assert works or "invalid seccomp syscall `surprise_call`" in result.err
