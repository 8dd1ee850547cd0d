"""How the kernel treats init and what `exec` runs: scheduler, I/O priority, CPUs, memory policy, personality."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from .box import Box
from .conftest import Bundle
from .runtime import Result

# Fields 19, 40 and 41 of stat: nice, real-time priority, policy.
SCHEDULING = "cut -d' ' -f19,40,41 /proc/self/stat"
POLICY = "head -n1 /proc/self/numa_maps | cut -d' ' -f2"


def exec_process(box: Box, script: str, **members: Any) -> Result:
    """A process of its own document, with nothing but what has to be there and these members."""
    document = {"args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
    path = box.folder / "process.json"
    path.write_text(json.dumps(document | members))
    return box.runtime("exec", "--process", str(path), box.id)


def allowed(box: Box) -> str:
    return box.exec("sed", "-n", "s/Cpus_allowed_list:.//p", "/proc/self/status").out.strip()


@pytest.fixture
def two_cpus() -> tuple[str, str]:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("this machine has one CPU")
    return str(cpus[0]), str(cpus[1])


# -- scheduler and I/O priority --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ({"policy": "SCHED_OTHER", "nice": -5}, "-5 0 0"),
        ({"policy": "SCHED_BATCH", "nice": 19}, "19 0 3"),
        ({"policy": "SCHED_IDLE"}, "0 0 5"),
        ({"policy": "SCHED_FIFO", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, "0 0 0"),
    ],
    ids=lambda value: value["policy"] if isinstance(value, dict) else "",
)
def test_policies(bundle: Bundle, scheduler: dict[str, Any], expected: str) -> None:
    """Policy and nice are those of the process and of what it starts, but for a policy that is reset with a fork."""
    box = bundle()
    box.process["scheduler"] = scheduler

    result = box.sh(f"forked=$({SCHEDULING}); echo $forked").run()
    if "SCHED_FIFO" in scheduler["policy"] and "EPERM" in result.err:
        pytest.skip("this cgroup has no real-time budget")
    assert result.out.strip() == expected, result


def test_real_time(bundle: Bundle) -> None:
    """A deadline policy with its numbers, flag and all, on the process itself."""
    box = bundle("sleep", "100")
    box.process["scheduler"] = {
        "policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RESET_ON_FORK"], "nice": 19,
        "runtime": 42000, "deadline": 100000, "period": 1000000,
    }  # fmt: skip
    box.up()

    shown = subprocess.run(["chrt", "-p", str(box.pid)], capture_output=True, text=True, check=True).stdout
    assert "SCHED_DEADLINE|SCHED_RESET_ON_FORK" in shown
    assert "42000/100000/1000000" in shown


def test_deadline_and_cpus(bundle: Bundle, two_cpus: tuple[str, str]) -> None:
    """SCHED_DEADLINE needs every CPU: with a smaller cpuset it is an error that says so."""
    box = bundle("true")
    box.process["scheduler"] = {"policy": "SCHED_DEADLINE", "runtime": 42000, "deadline": 10**6, "period": 10**6}
    box.linux["resources"] = {"cpu": {"cpus": two_cpus[0]}}

    result = box.run()

    assert result.status == 1
    if "crun" not in result.args[0]:
        assert "process scheduler can't be used together with AllowedCPUs" in result.err


def test_exec(bundle: Bundle) -> None:
    """`exec` schedules as config.json says, unless its own document says otherwise."""
    box = bundle()
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    box.up()

    assert box.exec("sh", "-c", f"{SCHEDULING}; ionice").lines == ["7 0 3", "best-effort: prio 6"]
    assert exec_process(box, f"{SCHEDULING}; ionice").lines == ["7 0 3", "best-effort: prio 6"]
    own = exec_process(
        box, f"{SCHEDULING}; ionice", scheduler={"policy": "SCHED_IDLE"}, ioPriority={"class": "IOPRIO_CLASS_IDLE"}
    )
    assert own.lines[0].endswith(" 0 5")
    assert own.lines[1].startswith("idle")


@pytest.mark.unlike("crun", "takes all from the document")
def test_exec_keeps_what_confines(bundle: Bundle) -> None:
    """Capabilities, limits and umask that a document of `exec` leaves out are those of config.json."""
    box = bundle()
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]
    box.process["user"]["umask"] = 0o27
    box.capabilities("CAP_KILL")
    box.up()

    script = "ulimit -n; ulimit -Hn; umask; grep CapEff /proc/self/status | cut -f2"
    assert exec_process(box, script).lines == ["77", "88", "0027", "0000000000000020"]


# -- CPUs ------------------------------------------------------------------------------------------------------------


def test_affinity_of_the_caller(bundle: Bundle, two_cpus: tuple[str, str]) -> None:
    """The caller's own affinity is not the container's, neither that of init nor that of `exec`."""
    box = bundle("sed", "-n", "s/Cpus_allowed_list:.//p", "/proc/self/status")
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(two_cpus[0])})
    try:
        of_init = box.run().out.strip()
        of_exec = allowed(bundle().up())
    finally:
        os.sched_setaffinity(0, every)

    assert of_init == of_exec != two_cpus[0]


def test_affinity_in_a_cpuset(bundle: Bundle, two_cpus: tuple[str, str]) -> None:
    """Nor is it where the container has a cpuset: that one counts, though the caller may not run there."""
    box = bundle()
    box.linux["resources"] = {"cpu": {"cpus": two_cpus[1], "mems": "0"}}
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(two_cpus[0])})
    try:
        box.up()
        of_exec = allowed(box)
    finally:
        os.sched_setaffinity(0, every)

    with open(f"/proc/{box.pid}/status") as status:
        assert f"Cpus_allowed_list:\t{two_cpus[1]}\n" in status
    assert of_exec == two_cpus[1]


def test_affinity_of_exec(bundle: Bundle, two_cpus: tuple[str, str]) -> None:
    """execCPUAffinity is for `exec` alone, `final` being what stays; that of a document of its own wins."""
    first, second = two_cpus
    box = bundle()
    box.process["execCPUAffinity"] = {"initial": first, "final": second}
    box.up()

    with open(f"/proc/{box.pid}/status") as status:
        assert f"Cpus_allowed_list:\t{second}\n" not in status
    assert allowed(box) == second
    script = "sed -n 's/Cpus_allowed_list:.//p' /proc/self/status"
    assert exec_process(box, script, execCPUAffinity={"initial": second, "final": first}).out.strip() == first


def test_affinity_without_a_cpu(bundle: Bundle) -> None:
    """CPUs that this machine lacks are an error of `exec`, and nothing has run."""
    box = bundle().up()

    result = exec_process(box, "echo ran", execCPUAffinity={"final": "1023"})

    assert (result.status, result.out) == (255, "")


# -- memory policy and personality -----------------------------------------------------------------------------------


@pytest.mark.unlike("crun", "orders the words of the flags otherwise")
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"mode": "MPOL_INTERLEAVE", "nodes": "0"}, "interleave:0"),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}, "bind=static:0"),
        ({"mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}, "prefer=relative:0"),
        ({"mode": "MPOL_DEFAULT"}, "default"),
        ({"mode": "MPOL_LOCAL"}, "local"),
    ],
    ids=lambda value: value["mode"] if isinstance(value, dict) else "",
)
def test_memory_policy(bundle: Bundle, policy: dict[str, Any], expected: str) -> None:
    """Mode, flags and nodes are those of init and of `exec`."""
    if not os.path.exists("/proc/self/numa_maps"):
        pytest.skip("this kernel knows no memory nodes")
    box = bundle()
    box.linux["memoryPolicy"] = policy

    assert box.sh(f"{POLICY}; sleep 100").up().exec("sh", "-c", POLICY).out.strip() == expected
    with open(f"/proc/{box.pid}/numa_maps") as maps:
        assert maps.readline().split()[1] == expected


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86_64 alone")
@pytest.mark.parametrize(("domain", "shown"), [("LINUX32", "i686"), ("LINUX", "x86_64")])
def test_personality(bundle: Bundle, domain: str, shown: str) -> None:
    """personality is that of init and of `exec`, and set before a filter may forbid it."""
    box = bundle()
    box.linux["personality"] = {"domain": domain}
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO"}],
    }

    assert box.up().exec("uname", "-m").out.strip() == shown


@pytest.mark.unlike("crun", "refuses them")
def test_personality_flags(bundle: Bundle) -> None:
    """Flags of a personality are none that anybody supports: a warning, and the domain is set."""
    box = bundle("true")
    box.linux["personality"] = {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}

    result = box.run()

    assert result.ok
    assert "ignoring unsupported personality flags: [ADDR_NO_RANDOMIZE]" in result.err
