"""The rules of config.json: what breaks one is named with its place and clause."""

from __future__ import annotations

from typing import Any

import pytest

from pyrunc.specs.decode import Node
from pyrunc.specs.default import default_spec
from pyrunc.specs.errors import Invalid
from pyrunc.specs.rules import check, check_process, check_update, is_semver, problems
from pyrunc.specs.runtime import Process, Resources
from pyrunc.specs.section_rules import with_dots
from tests.specs.documents import changed, complaints, example, small, spec_of, whole

USER_NS = changed(small(), "linux/namespaces/-", {"type": "user"})
UTS_NS = changed(small(), "linux/namespaces/-", {"type": "uts"})
MAP = {"containerID": 0, "hostID": 1000, "size": 10}
FILTER = {"defaultAction": "SCMP_ACT_ALLOW"}


@pytest.mark.parametrize(
    "document",
    [small(), example("config"), whole(), default_spec(), default_spec(cgroup2=True), default_spec(rootless=True)],
)
def test_good_documents_pass(document: dict[str, Any]) -> None:
    """Documents that are in order have no problem."""
    assert complaints(document) == []
    check(spec_of(document))


def seccomp(**members: object) -> dict[str, Any]:
    return changed(small(), "linux/seccomp", FILTER | members)


def syscall(**members: object) -> dict[str, Any]:
    return seccomp(syscalls=[{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"} | members])


def in_process(name: str, value: object) -> dict[str, Any]:
    return changed(small(), f"process/{name}", value)


def in_linux(name: str, value: object) -> dict[str, Any]:
    return changed(small(), f"linux/{name}", value)


def in_resources(name: str, value: object) -> dict[str, Any]:
    return changed(small(), f"linux/resources/{name}", value)


def mapped(uids: object, gids: object = None) -> dict[str, Any]:
    document = changed(USER_NS, "linux/uidMappings", uids)
    return changed(document, "linux/gidMappings", gids or [MAP])


def device(**members: object) -> dict[str, Any]:
    return in_linux("devices", [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3} | members])


# What is broken, where it is said, and the words or their gist. Words of runc are given in full.
BROKEN = [
    # -- process
    (changed(small(), "process", None), "process", "process property must not be empty"),
    (in_process("cwd", ""), "process.cwd", "Cwd property must not be empty"),
    (in_process("cwd", None), "process.cwd", "Cwd property must not be empty"),
    (in_process("cwd", "home"), "process.cwd", "Cwd must be an absolute path"),
    (in_process("args", []), "process.args", "args must not be empty"),
    (in_process("env", ["A=b", "C"]), "process.env[1]", "invalid environment variable: missing '='"),
    (in_process("env", ["=b"]), "process.env[0]", "invalid environment variable: name cannot be empty"),
    (in_process("rlimits", [{"type": "RLIMIT_FOO", "soft": 1, "hard": 1}]), "process.rlimits[0].type",
     "wrong rlimit value: RLIMIT_FOO"),
    (in_process("rlimits", [{"type": "RLIMIT_AS", "soft": 1, "hard": 1}] * 2), "process.rlimits[1]",
     "RLIMIT_AS is listed twice"),
    (in_process("rlimits", [{"type": "RLIMIT_AS", "soft": 2, "hard": 1}]), "process.rlimits[0]",
     "above the hard limit"),
    (in_process("oomScoreAdj", 1001), "process.oomScoreAdj", "from -1000 to 1000"),
    (changed(in_process("terminal", True), "process/consoleSize", {"height": 1, "width": 65536}), "process.consoleSize",
     "65535"),
    (in_process("scheduler", {"policy": "SCHED_FAST"}), "process.scheduler.policy", "SCHED_FAST"),
    (in_process("scheduler", {"policy": "SCHED_OTHER", "flags": ["FAST"]}), "process.scheduler.flags[0]", "FAST"),
    (in_process("scheduler", {"policy": "SCHED_BATCH", "nice": 20}), "process.scheduler.nice",
     "invalid scheduler.nice: 20 when scheduler.policy is SCHED_BATCH"),
    (in_process("scheduler", {"policy": "SCHED_OTHER", "priority": 1}), "process.scheduler.priority",
     "scheduler.priority can only be specified for SchedFIFO or SchedRR policy"),
    (in_process("scheduler", {"policy": "SCHED_RR", "runtime": 1}), "process.scheduler",
     "scheduler runtime/deadline/period can only be specified for SchedDeadline policy"),
    (in_process("scheduler", {"nice": 1}), "process.scheduler.policy", "scheduler policy is required"),
    (in_process("ioPriority", {}), "process.ioPriority.class", 'invalid ioPriority.Class: ""'),
    (in_process("ioPriority", {"class": "FAST", "priority": 1}), "process.ioPriority.class",
     'invalid ioPriority.Class: "FAST"'),
    (in_process("ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}), "process.ioPriority.priority",
     "invalid ioPriority.Priority: 8"),
    (in_process("execCPUAffinity", {"initial": "0-"}), "process.execCPUAffinity.initial",
     'bad CPUAffinity.Initial: "" is not a number'),
    (in_process("execCPUAffinity", {"final": "0-1024"}), "process.execCPUAffinity.final",
     "bad CPUAffinity.Final: values larger than 1023 are not supported"),
    # -- the document
    (changed(small(), "ociVersion", "invalid"), "ociVersion", "not a version"),
    (changed(small(), "ociVersion", None), "ociVersion", "not a version"),
    (changed(small(), "ociVersion", "2.0.0"), "ociVersion", "only version 1 is"),
    (changed(small(), "root", None), "root", "root must be specified"),
    (changed(small(), "root/path", ""), "root.path", "must not be empty"),
    (changed(small(), "mounts", [{"destination": ""}]), "mounts[0].destination", "needs a destination"),
    (changed(small(), "mounts", [{"destination": "/a", "options": ["bind", "idmap"]}]), "mounts[0]", "must have both"),
    (changed(small(), "mounts", [{"destination": "/a", "options": ["rbind"], "uidMappings": [MAP]}]), "mounts[0]",
     "id-mapped mounts must have both uid and gid mappings specified"),
    (changed(small(), "mounts", [{"destination": "/a", "uidMappings": [MAP], "gidMappings": [MAP]}]), "mounts[0]",
     "id-mapped mounts are only supported for bind-mounts"),
    (changed(small(), "hostname", "box"), "hostname", "unable to set hostname without a private UTS namespace"),
    (changed(small(), "domainname", "box"), "domainname", "unable to set domainname without a private UTS namespace"),
    (changed(small(), "annotations", {"": "x"}), "annotations", "must not be empty"),
    (changed(small(), "hooks/prestart", [{"path": "true"}]), "hooks.prestart[0].path", "must be absolute"),
    (changed(small(), "hooks/poststop", [{"path": "/x"}, {"path": "/x", "timeout": 0}]), "hooks.poststop[1].timeout",
     "greater than zero"),
    (changed(small(), "hooks/startContainer", [{"path": "/x", "env": ["A"]}]), "hooks.startContainer[0].env[0]", "="),
    # -- namespaces
    (in_linux("namespaces", [{"type": "disk"}]), "linux.namespaces[0].type", 'namespace "disk" does not exist'),
    (in_linux("namespaces", [{"type": "pid"}, {"type": "pid"}]), "linux.namespaces[1]",
     'malformed spec file: duplicated ns "pid"'),
    (in_linux("namespaces", [{"type": "pid", "path": "proc/1/ns/pid"}]), "linux.namespaces[0].path", "absolute"),
    (USER_NS, "linux.namespaces[1]",
     "user namespaces enabled, but no namespace path to join nor mappings to apply specified"),
    (changed(in_linux("uidMappings", [MAP]), "linux/gidMappings", [MAP]), "linux.uidMappings",
     "user namespace mappings specified, but user namespace isn't enabled in the config"),
    (changed(USER_NS, "linux/uidMappings", [MAP]), "linux.gidMappings", "needs uidMappings and gidMappings"),
    (mapped([MAP | {"size": 0}]), "linux.uidMappings[0].size", "must not be 0"),
    (mapped([MAP | {"hostID": 4294967290, "size": 10}]), "linux.uidMappings[0]", "beyond the highest id"),
    (mapped([MAP], [MAP, {"containerID": 9, "hostID": 2000, "size": 1}]), "linux.gidMappings[1]", "overlaps"),
    (mapped([MAP, {"containerID": 50, "hostID": 995, "size": 6}]), "linux.uidMappings[0]", "overlaps"),
    (mapped([{"containerID": i, "hostID": i, "size": 1} for i in range(341)]), "linux.uidMappings", "at most 340"),
    (in_linux("timeOffsets", {"boottime": {"secs": 1}}), "linux.timeOffsets",
     "time namespace offsets specified, but time namespace isn't enabled in the config"),
    (changed(in_linux("timeOffsets", {"boottime": {}}), "linux/namespaces/-", {"type": "time", "path": "/x"}),
     "linux.timeOffsets", "time namespace enabled, but both namespace path and time offsets specified"),
    (changed(in_linux("timeOffsets", {"wall": {}}), "linux/namespaces/-", {"type": "time"}),
     'linux.timeOffsets["wall"]',
     "wall"),
    (changed(in_linux("timeOffsets", {"boottime": {"nanosecs": 10**9}}), "linux/namespaces/-", {"type": "time"}),
     'linux.timeOffsets["boottime"].nanosecs', "999999999"),
    # -- paths, devices
    (in_linux("maskedPaths", ["/proc/kcore", "proc"]), "linux.maskedPaths[1]", "absolute"),
    (in_linux("readonlyPaths", [""]), "linux.readonlyPaths[0]", "absolute"),
    (changed(in_linux("maskedPaths", ["/x"]), "linux/namespaces", []), "linux.maskedPaths",
     "unable to restrict sys entries without a private MNT namespace"),
    (in_linux("rootfsPropagation", "public"), "linux.rootfsPropagation", "rootfsPropagation=public is not supported"),
    (device(type="x"), "linux.devices[0].type", 'invalid device type "x"'),
    (device(path="dev/x"), "linux.devices[0].path", "absolute"),
    (device(major=-1), "linux.devices[0]", "no such device number"),
    (device(minor=1 << 20), "linux.devices[0]", "no such device number"),
    (in_linux("devices", [{"type": "p", "path": "/p"}, {"type": "c", "path": "/p", "major": 1, "minor": 3}]),
     "linux.devices[1]", "/p is listed twice, as different devices"),
    (in_linux("netDevices", {"eth0": {}}), "linux.netDevices",
     "unable to move network devices without a NET namespace"),
    (changed(in_linux("netDevices", {"eth0": {"name": "a/b"}}), "linux/namespaces/-", {"type": "network"}),
     'linux.netDevices["eth0"]', 'invalid network device name "a/b"'),
    (changed(in_linux("netDevices", {"a" * 16: {}}), "linux/namespaces/-", {"type": "network"}),
     f'linux.netDevices["{"a" * 16}"]', "invalid network device name"),
    (changed(in_linux("netDevices", {"a": {"name": "x"}, "x": {}}), "linux/namespaces/-", {"type": "network"}),
     'linux.netDevices["x"]', 'would be named "x"'),
    # -- resources
    (in_resources("devices", [{"allow": True, "type": "p"}]), "linux.resources.devices[0].type",
     'invalid cgroup device type "p"'),
    (in_resources("devices", [{"allow": True, "access": "rx"}]), "linux.resources.devices[0]", "other than rwm"),
    (in_resources("devices", [{"allow": True, "type": "c", "major": -2}]), "linux.resources.devices[0]", "negative"),
    (in_resources("memory", {"limit": -2}), "linux.resources.memory.limit", "invalid memory value: -2"),
    (in_resources("memory", {"swappiness": 101}), "linux.resources.memory.swappiness", "0 to 100"),
    (in_resources("memory", {"limit": 10, "swap": 9}), "linux.resources.memory.swap",
     "memory+swap limit should be >= memory limit"),
    (in_resources("memory", {"swap": 9}), "linux.resources.memory.swap",
     "unable to set swap limit without memory limit"),
    (in_resources("cpu", {"idle": 2}), "linux.resources.cpu.idle", "0 or 1"),
    (in_resources("cpu", {"quota": 10, "burst": 11}), "linux.resources.cpu.burst", "not be larger than quota"),
    (in_resources("blockIO", {"weight": 9}), "linux.resources.blockIO.weight", "10 to 1000"),
    (in_resources("blockIO", {"weightDevice": [{"major": 8, "minor": 0}]}), "linux.resources.blockIO.weightDevice[0]",
     "is required"),
    (in_resources("blockIO", {"throttleReadBpsDevice": [{"major": -8, "minor": 0, "rate": 1}]}),
     "linux.resources.blockIO.throttleReadBpsDevice[0]", "negative"),
    (in_resources("hugepageLimits", [{"pageSize": "64kB", "limit": 1}]), "linux.resources.hugepageLimits[0].pageSize",
     "64kB"),
    (in_resources("hugepageLimits", [{"pageSize": "MB", "limit": 1}]), "linux.resources.hugepageLimits[0].pageSize",
     "MB"),
    (in_resources("network", {"priorities": [{"name": "", "priority": 1}]}),
     "linux.resources.network.priorities[0].name",
     "needs a name"),
    (in_resources("rdma", {"mlx": {}}), 'linux.resources.rdma["mlx"]', "is required"),
    (in_resources("unified", {"../x": "1"}), "linux.resources.unified", "not the name of a file"),
    # -- the rest
    (in_linux("intelRdt", {"closID": "a/b"}), "linux.intelRdt.closID", 'invalid intelRdt.ClosID "a/b"'),
    (in_linux("intelRdt", {"closID": ".."}), "linux.intelRdt.closID", 'invalid intelRdt.ClosID ".."'),
    (in_linux("intelRdt", {"memBwSchema": "L3:0=1"}), "linux.intelRdt.memBwSchema", "MB:"),
    (in_linux("intelRdt", {"schemata": ["L3:0=1\nx"]}), "linux.intelRdt.schemata[0]", "one line"),
    (in_linux("memoryPolicy", {"mode": "MPOL_BEST"}), "linux.memoryPolicy.mode",
     'invalid memory policy mode "MPOL_BEST"'),
    (in_linux("memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0", "flags": ["X"]}), "linux.memoryPolicy.flags[0]",
     'invalid memory policy flag "X"'),
    (in_linux("memoryPolicy", {"mode": "MPOL_BIND", "nodes": "a"}), "linux.memoryPolicy.nodes",
     'invalid memory policy nodes "a"'),
    (in_linux("memoryPolicy", {"mode": "MPOL_LOCAL", "nodes": "0-1"}), "linux.memoryPolicy.nodes",
     "memory policy mode requires 0 nodes but got 2"),
    (in_linux("memoryPolicy", {"mode": "MPOL_INTERLEAVE"}), "linux.memoryPolicy.nodes",
     "memory policy mode requires at least one node but got 0"),
    (in_linux("memoryPolicy", {}), "linux.memoryPolicy.mode", 'invalid memory policy mode ""'),
    (in_linux("personality", {"domain": "BSD"}), "linux.personality.domain", "invalid personality domain BSD"),
    # -- seccomp
    (seccomp(defaultAction="ALLOW"), "linux.seccomp.defaultAction", "string ALLOW is not a valid action for seccomp"),
    (seccomp(defaultAction="SCMP_ACT_NOTIFY"), "linux.seccomp.defaultAction",
     "SCMP_ACT_NOTIFY cannot be used as default action"),
    (seccomp(defaultErrnoRet=1), "linux.seccomp.defaultErrnoRet", "returns no errno"),
    (seccomp(architectures=["x86"]), "linux.seccomp.architectures[0]", "string x86 is not a valid arch for seccomp"),
    (seccomp(flags=["LOG"]), "linux.seccomp.flags[0]", 'unknown seccomp flag "LOG"'),
    (seccomp(listenerMetadata="x"), "linux.seccomp.listenerMetadata", "without listenerPath"),
    (syscall(names=[]), "linux.seccomp.syscalls[0].names", "at least one"),
    (syscall(action="SCMP_ACT_DROP"), "linux.seccomp.syscalls[0].action",
     "string SCMP_ACT_DROP is not a valid action for seccomp"),
    (syscall(action="SCMP_ACT_KILL", errnoRet=1), "linux.seccomp.syscalls[0].errnoRet",
     "SCMP_ACT_KILL returns no errno"),
    (syscall(errnoRet=4096), "linux.seccomp.syscalls[0].errnoRet", "too large"),
    (syscall(action="SCMP_ACT_NOTIFY"), "linux.seccomp.syscalls[0].action", "needs a listenerPath"),
    (syscall(args=[{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]), "linux.seccomp.syscalls[0].args[0].index",
     "0 to 5"),
    (syscall(args=[{"index": 0, "value": 0, "op": "=="}]), "linux.seccomp.syscalls[0].args[0].op",
     "string == is not a valid operator for seccomp"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "pointer", "words"), BROKEN, ids=[f"{case[1]}: {case[2]}"[:70] for case in BROKEN]
)
def test_one_mistake_one_problem(document: dict[str, Any], pointer: str, words: str) -> None:
    """A document with one mistake has one problem, at its place, in the words that people know, with its clause."""
    found = problems(spec_of(document))

    assert [(problem.pointer, words in problem.message) for problem in found] == [(pointer, True)]
    assert found[0].clause.startswith("config")
    with pytest.raises(Invalid) as caught:
        check(spec_of(document))
    assert str(caught.value) == str(found[0])


def test_notify_for_write() -> None:
    """The runtime itself writes under the filter, so `write` cannot be left to an agent; other calls can."""
    rule = {"names": ["write"], "action": "SCMP_ACT_NOTIFY"}
    document = seccomp(listenerPath="/run/agent", syscalls=[rule])

    assert complaints(document) == [
        ("linux.seccomp.syscalls[0]", "SCMP_ACT_NOTIFY cannot be used for the write syscall")
    ]
    assert complaints(changed(document, "linux/seccomp/syscalls/0/names", ["mkdir"])) == []


SYSCTLS = [
    ("kernel.shmmax", ["ipc"], ""),
    ("kernel/shmmax", ["ipc"], ""),
    ("kernel.shmmax", [], 'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace'),
    ("fs.mqueue.msg_max", ["ipc"], ""),
    ("net.ipv4.ip_forward", ["network"], ""),
    ("net/ipv4/conf/eno2.100/rp_filter", ["network"], ""),
    ("net.ipv4.ip_forward", [], 'sysctl "net.ipv4.ip_forward" not allowed in host network namespace'),
    ("kernel.domainname", ["uts"], ""),
    ("kernel.domainname", [], 'sysctl "kernel.domainname" is not in a separate kernel namespace'),
    (
        "kernel.hostname",
        ["uts"],
        'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
    ),
    ("user.max_user_namespaces", [], "setting ucounts without a user namespace not allowed: user.max_user_namespaces"),
    ("vm.swappiness", ["ipc", "network", "uts"], 'sysctl "vm.swappiness" is not in a separate kernel namespace'),
    ("kernel.core_pattern", ["ipc"], 'sysctl "kernel.core_pattern" is not in a separate kernel namespace'),
    ("net/../kernel/core_pattern", ["network"], "this is not the name of a kernel parameter with its value"),
    ("net...kernel.core_pattern", ["network"], "this is not the name of a kernel parameter with its value"),
    ("net.ipv4/../../kernel/core_pattern", ["network"], "this is not the name of a kernel parameter with its value"),
    ("net.", ["network"], "this is not the name of a kernel parameter with its value"),
    ("", [], "this is not the name of a kernel parameter with its value"),
]


@pytest.mark.parametrize(("key", "own", "message"), SYSCTLS)
def test_sysctls(key: str, own: list[str], message: str) -> None:
    """Only kernel parameters that a namespace of the container keeps apart are allowed, with either separator."""
    document = changed(small(), "linux/sysctl", {key: "1"})
    document["linux"]["namespaces"] += [{"type": kind} for kind in own]

    assert complaints(document) == ([(f'linux.sysctl["{key}"]', message)] if message else [])


def test_separators() -> None:
    """The first separator of a key decides which of them separates."""
    assert with_dots("net/ipv4/conf/eno2.100/rp_filter") == "net.ipv4.conf.eno2/100.rp_filter"
    assert with_dots("net.ipv4.conf.eno2/100.rp_filter") == "net.ipv4.conf.eno2/100.rp_filter"
    assert with_dots("net") == "net"


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("1.0.0", True), ("1.0.2-dev", True), ("1.2.0+dev", True), ("1.0.0-rc1", True), ("1.0.0-rc.1+x.01", True),
        ("10.20.30", True), ("1.0.0-0", True), ("1.0.0--", True), ("1.0.0+21AF26D3---117B344092BD", True),
        ("1.0.0-0A", True), ("0.5.0-dev", True),
        ("", False), ("1", False), ("1.0", False), ("v1.0.0", False), ("1.0.0.0", False), ("01.0.0", False),
        ("1.00.0", False), ("1.0.0-", False), ("1.0.0+", False), ("1.0.0-01", False), ("1.0.0-a..b", False),
        ("1.0.0-a_b", False), ("1.0.0 ", False), ("1.0.\u0661", False), ("-1.0.0", False), ("1.0.0-\u00e9", False),
    ],
)  # fmt: skip
def test_versions(text: str, is_valid: bool) -> None:
    """Versions follow Semantic Versioning 2.0.0 to the letter."""
    assert is_semver(text) == is_valid


def test_joined_user_namespace_needs_no_mappings() -> None:
    """A user namespace that is joined has its mappings already."""
    assert complaints(changed(USER_NS, "linux/namespaces/1/path", "/proc/1/ns/user")) == []


def test_all_at_once() -> None:
    """`problems` goes on after the first mistake, `check` stops there."""
    document = changed(changed(small(), "process/args", []), "root/path", "")
    found = complaints(document)

    assert [pointer for pointer, _ in found] == ["process.args", "root.path"]
    with pytest.raises(Invalid, match="args must not be empty"):
        check(spec_of(document))


def test_a_process_of_its_own() -> None:
    """The document of `exec --process` is held to the same rules, its places being its own."""
    good = {"cwd": "/", "args": ["a"]}
    check_process(Process(Node(good)))
    with pytest.raises(Invalid) as caught:
        check_process(Process(Node(good | {"cwd": "x"})))

    assert (caught.value.pointer, caught.value.message) == ("cwd", "Cwd must be an absolute path")


def test_an_update_keeps_what_it_does_not_say() -> None:
    """In `update` a swap limit without a memory limit is fine, for there may be one; a wrong value stays wrong."""
    check_update(Resources(Node({"memory": {"swap": 100}})))
    with pytest.raises(Invalid, match="idle"):
        check_update(Resources(Node({"cpu": {"idle": 7}})))
