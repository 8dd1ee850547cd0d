"""Broken bundles, continued: namespaces, cgroups, seccomp, hooks, the program; and counts beyond reason. Data alone."""

# ruff: noqa: E501, RUF005 - one lie, one line: the answer stands beside what was wrong

from __future__ import annotations

import re

from .bundles import ELF, USERNS, fs, rule, seccomp
from .words import Lie

MAP = {"containerID": 0, "hostID": 100000, "size": 65536}
NAMESPACES = (
    Lie("user namespace without maps", (("add", "linux.namespaces", {"type": "user"}),), "user namespaces enabled, but no namespace path to join nor mappings to apply specified (linux.namespaces[5])"),
    Lie("maps without a user namespace", USERNS[:2], "user namespace mappings specified, but user namespace isn't enabled in the config (linux.uidMappings)"),
    Lie("one map of two", (*USERNS, ("drop", "linux.gidMappings")), "a user namespace needs uidMappings and gidMappings (linux.gidMappings)"),
    Lie("map of size 0", (*USERNS, ("set", "linux.uidMappings", [{**MAP, "size": 0}])), "the size of a mapping must not be 0 (linux.uidMappings[0].size)"),
    Lie("map beyond the last id", (*USERNS, ("set", "linux.uidMappings", [{**MAP, "size": 2**32 - 1}])), "the mapping goes beyond the highest id (linux.uidMappings[0])"),
    Lie("maps that overlap", (*USERNS, ("set", "linux.gidMappings", [MAP, {**MAP, "containerID": 5}])), "the mapping overlaps another one (linux.gidMappings[1])"),
    Lie("400 maps", (*USERNS, ("repeat", "linux.uidMappings", 400, MAP)), "the kernel takes at most 340 mappings (linux.uidMappings)"),
    Lie("user that is not mapped", (*USERNS, ("set", "process.user.uid", 70000)), "{started}cannot become user 70000 group 0 (process.user): EINVAL: invalid argument", valid=True),
    Lie("group that is not mapped", (*USERNS, ("set", "process.user.gid", 70000)), "{started}cannot become user 0 group 70000 (process.user): EINVAL: invalid argument", valid=True),
    Lie("groups that are not mapped", (*USERNS, ("set", "process.user.additionalGids", [70000])), "{started}cannot become user 0 group 0 groups 70000 (process.user): EINVAL: invalid argument", valid=True),
    Lie("path of a namespace missing", (("set", "linux.namespaces[1].path", "/proc/self/ns/nothing"),), "{started}cannot join namespace: namespace /proc/self/ns/nothing does not exist (linux.namespaces[1]): ENOENT: no such file or directory", valid=True),
    Lie("path of a namespace of another type", (("set", "linux.namespaces[1].path", "/proc/self/ns/uts"),), "{started}cannot join network namespace /proc/self/ns/uts (linux.namespaces[1]): it is a uts namespace", valid=True),
    Lie("path of a namespace is a file", (("set", "linux.namespaces[1].path", "/proc/version"),), "{started}cannot join network namespace /proc/version (linux.namespaces[1]): it is no namespace", valid=True),
    Lie("path of a namespace is a folder", (("set", "linux.namespaces[1].path", "/proc/self/ns"),), "{started}cannot join network namespace /proc/self/ns (linux.namespaces[1]): it is no namespace", valid=True),
    Lie("path of a namespace is a fifo", (("fifo", "ns"), ("set", "linux.namespaces[1].path", "{bundle}/ns")), "{started}cannot join network namespace {bundle}/ns (linux.namespaces[1]): it is no namespace", valid=True),
    Lie("own user namespace joined", (("add", "linux.namespaces", {"type": "user", "path": "/proc/self/ns/user"}),), "{started}cannot join namespaces user of user.namespace (linux.namespaces[5]): EINVAL: invalid argument", valid=True),
    Lie("host name without a namespace", (("drop", "linux.namespaces[3]"),), "unable to set hostname without a private UTS namespace (hostname)"),
    Lie("hidden paths without a namespace", (("drop", "linux.namespaces[4]"), ("set", "mounts", [])), "unable to restrict sys entries without a private MNT namespace (linux.maskedPaths)"),
    Lie("host name too long", (("set", "hostname", "h" * 65),), "{started}cannot set hostname 'hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh' (hostname): EINVAL: invalid argument", valid=True),
    Lie("domain name too long", (("set", "domainname", "d" * 65),), "{started}cannot set domainname 'ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd' (domainname): EINVAL: invalid argument", valid=True),
    Lie("time offsets", (("set", "linux.timeOffsets", {"monotonic": {"secs": 1}}),), "time namespace offsets specified, but time namespace isn't enabled in the config (linux.timeOffsets)"),
    Lie("clock before its beginning", (("add", "linux.namespaces", {"type": "time"}), ("set", "linux.timeOffsets", {"boottime": {"secs": -(1 << 62)}})), "{started}cannot make and enter a time namespace with offsets boottime -4611686018427387904 0 (linux.timeOffsets): ERANGE: numerical result out of range", valid=True),
)

PROCESS = (
    Lie("program not in PATH", (("set", "process.args", ["nothing"]),), "{started}exec: \"nothing\": executable file not found in $PATH (process.args)", valid=True),
    Lie("program missing", (("set", "process.args", ["/bin/nothing"]),), "{started}exec: \"/bin/nothing\": stat /bin/nothing: no such file or directory (process.args)", valid=True),
    Lie("program without a name", (("set", "process.args", [""]),), "{started}exec: \"\": executable file not found in $PATH (process.args)", valid=True),
    Lie("program is a folder", (("set", "process.args", ["/etc"]),), "{started}exec: \"/etc\": is a directory (process.args)", valid=True),
    Lie("program may not be run", (("set", "process.args", ["/etc/passwd"]),), "{started}exec: \"/etc/passwd\": permission denied (process.args)", valid=True),
    Lie("program below a file", (("set", "process.args", ["/etc/passwd/x"]),), "{started}exec: \"/etc/passwd/x\": stat /etc/passwd/x: no such file or directory (process.args)", valid=True),
    Lie("program is a link to itself", (("link", "rootfs/bin/loop", "loop"), ("set", "process.args", ["loop"])), "{started}exec: \"loop\": executable file not found in $PATH (process.args)", valid=True),
    Lie("program is empty", (("file", "rootfs/bin/empty", b"", 0o755), ("set", "process.args", ["empty"])), "exec /bin/empty: exec format error", valid=True, commands=("run",)),
    Lie("program for another machine", (("file", "rootfs/bin/elf", ELF, 0o755), ("set", "process.args", ["elf"])), "exec /bin/elf: exec format error", valid=True, commands=("run",)),
    Lie("interpreter missing", (("file", "rootfs/bin/script", b"#!/bin/nothing\n", 0o755), ("set", "process.args", ["script"])), "exec /bin/script: no such file or directory", valid=True, commands=("run",)),
    Lie("arguments too long", (("set", "process.args", ["true", "x" * (4 << 20)]),), "exec /bin/true: argument list too long", valid=True, commands=("run",)),
    Lie("cwd is a file", (("set", "process.cwd", "/etc/passwd"),), "{started}cannot make folder /etc/passwd mode 755 (process.cwd): EEXIST: file exists: something else is there already: /etc/passwd", valid=True),
    Lie("cwd is below a file", (("set", "process.cwd", "/etc/passwd/x"),), "{started}cannot make folder /etc/passwd/x mode 755 (process.cwd): ENOTDIR: not a directory: target /etc/passwd/x", valid=True),
    Lie("cwd is a link to itself", (("link", "rootfs/loop", "loop"), ("set", "process.cwd", "/loop")), "{started}cannot make folder /loop mode 755 (process.cwd): EEXIST: file exists: something else is there already: /loop", valid=True),
    Lie("cwd is out by way of a descriptor", (("set", "process.cwd", "/proc/self/fd/3"),), "{started}cannot make folder /proc/self/fd/3 mode 755 (process.cwd): EEXIST: file exists: something else is there already: /proc/self/fd/3", valid=True),
    Lie("more open files than the machine gives", (("set", "process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1 << 40}]),), "{started}cannot raise RLIMIT_NOFILE soft 1 hard 1099511627776 (process.rlimits[0]): EPERM: operation not permitted", valid=True),
    Lie("rlimit twice", (("repeat", "process.rlimits", 2, {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}),), "RLIMIT_NOFILE is listed twice (process.rlimits[1])"),
    Lie("100,000 groups", (("set", "process.user.additionalGids", list(range(100_000))),), re.compile("\\{started\\}cannot become user 0 group 0 groups 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,1.+6,99997,99998,99999 \\(process\\.user\\): EINVAL: invalid argument", re.S), valid=True),
    Lie("AppArmor profile that is not there", (("set", "process.apparmorProfile", "no-such-profile"),), re.compile("(cannot apply AppArmor profile no-such-profile \\(process\\.apparmorProfile\\): apparmor: config provided but apparmor not supported|\\{started\\}cannot write 'exec no-such-profile' to attribute apparmor/exec or exec \\(process\\.apparmorProfile\\): ENOENT.*)"), valid=True),
    Lie("SELinux label", (("set", "process.selinuxLabel", "no:such:label:s0"),), re.compile("(cannot apply SELinux label no:such:label:s0 \\(process\\.selinuxLabel\\): selinux label is specified in config, but selinux is disabled or not supported|\\{started\\}.*EINVAL.*)"), valid=True),
    Lie("scheduler that Linux lacks", (("set", "process.scheduler", {"policy": "SCHED_ISO"}),), "{started}cannot set scheduler SCHED_ISO (process.scheduler): EINVAL: invalid argument", valid=True),
    Lie("real-time policy without a priority", (("set", "process.scheduler", {"policy": "SCHED_FIFO"}),), "{started}cannot set scheduler SCHED_FIFO (process.scheduler): EINVAL: invalid argument", valid=True),
    Lie("deadline after the period", (("set", "process.scheduler", {"policy": "SCHED_DEADLINE", "runtime": 1 << 20, "deadline": 1 << 22, "period": 1 << 21}),), "{started}cannot set scheduler SCHED_DEADLINE runtime 1048576 deadline 4194304 period 2097152 (process.scheduler): EINVAL: invalid argument", valid=True),
    Lie("priority of I/O", (("set", "process.ioPriority", {"class": "IOPRIO_CLASS_IDLE", "priority": -1}),), "invalid ioPriority.Priority: -1 (process.ioPriority.priority)"),
    Lie("personality", (("set", "linux.personality", {"domain": "PER_BSD"}),), "invalid personality domain PER_BSD (linux.personality.domain)"),
    Lie("memory policy of a node that is not there", (("set", "linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "1000"}),), "{started}cannot set memory policy MPOL_BIND of nodes 1000 (linux.memoryPolicy): EINVAL: invalid argument", valid=True),
    Lie("two memory policies in one", (("set", "linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}),), "{started}cannot set memory policy MPOL_BIND|MPOL_F_RELATIVE_NODES|MPOL_F_STATIC_NODES of nodes 0 (linux.memoryPolicy): EINVAL: invalid argument", valid=True),
    Lie("class of service that leads out", (("set", "linux.intelRdt", {"closID": "../a"}),), "invalid intelRdt.ClosID \"../a\" (linux.intelRdt.closID)"),
    Lie("network devices", (("set", "linux.netDevices", {"eth99": {}}),), "{started}cannot move network device eth99 into the container (linux.netDevices[\"eth99\"]): ENODEV: no such device", valid=True),
)

CGROUPS = (
    Lie("cgroup made on the way, program missing", (("set", "linux.cgroupsPath", "/{id}/a/b/c"), ("set", "process.args", ["nothing"])), "{started}exec: \"nothing\": executable file not found in $PATH (process.args)", valid=True),
    Lie("cgroup handed over on cgroup v1", (("set", "annotations", {"run.oci.delegate-cgroup": "payload"}),), "cannot delegate the cgroup payload (annotations[\"run.oci.delegate-cgroup\"]): it takes a cgroup of the container's own, of version 2", valid=True),
) + tuple(
    Lie(name, (("set", "linux.cgroupsPath", path),), says, valid=True)
    for name, path, says in (
        ("cgroup too deep", "/{id}" + "/x" * 2500, re.compile("\\{started\\}unable to apply cgroup configuration: cannot make cgroup /sys/fs/cgroup/systemd/\\{id\\}/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/.+/x/x/x \\(linux\\.cgroupsPath\\): ENAMETOOLONG: file name too long", re.S)),
        ("cgroup is ..", "..", "cgroup path '..' names no cgroup below the root (linux.cgroupsPath)"),
        ("cgroup with a newline", "/{id}/a\nb", "a cgroup path has no newline and no NUL (linux.cgroupsPath)"),
        ("cgroup below a file", "/cgroup.procs/{id}", "{started}unable to apply cgroup configuration: cannot make cgroup /sys/fs/cgroup/systemd/cgroup.procs/{id} (linux.cgroupsPath): ENOTDIR: not a directory"),
        ("cgroup is a file", "/cgroup.procs", "{started}unable to apply cgroup configuration: cannot make cgroup /sys/fs/cgroup/systemd/cgroup.procs (linux.cgroupsPath): ENOTDIR: not a directory"),
    )
)
UNITS = tuple(  # what is wrong with the document is said on machines without systemd as well
    Lie(name, (("set", "linux.cgroupsPath", path), ("set", "annotations", annotations)), says, valid=True, options=("--systemd-cgroup",))
    for name, path, annotations, says in (
        ("path where systemd wants a unit", "/a/{id}", {}, "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"/a/{id}\" instead (linux.cgroupsPath)"),
        ("unit with four parts", "a.slice:b:c:{id}", {}, "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"a.slice:b:c:{id}\" instead (linux.cgroupsPath)"),
        ("slice that is none", "machine:test:{id}", {}, "invalid slice name: machine (linux.cgroupsPath)"),
        ("slice with an empty part", "a--b.slice:test:{id}", {}, "invalid slice name: a--b.slice (linux.cgroupsPath)"),
        ("slice that leads out", "../a.slice:test:{id}", {}, "invalid slice name: ../a.slice (linux.cgroupsPath)"),
        ("unit that leads out", "a.slice:test:../{id}", {}, "'a.slice:test:../{id}' makes 'test-../{id}.scope', which is no name of a systemd unit (linux.cgroupsPath)"),
        ("unit with a space", "a.slice:test:a {id}", {}, "'a.slice:test:a {id}' makes 'test-a {id}.scope', which is no name of a systemd unit (linux.cgroupsPath)"),
        ("unit of 300 letters", "a.slice:test:" + "x" * 300, {}, f"'a.slice:test:{'x' * 300}' makes 'test-{'x' * 300}.scope', which is no name of a systemd unit (linux.cgroupsPath)"),
        ("property with a short name", "", {"org.systemd.property.A": "1"}, "annotation org.systemd.property.A name incorrect: too short (annotations[\"org.systemd.property.A\"])"),
        ("property with a digit", "", {"org.systemd.property.CPU2": "1"}, "annotation org.systemd.property.CPU2 name incorrect: contains non-alphabetic character (annotations[\"org.systemd.property.CPU2\"])"),
        ("property with half a list", "", {"org.systemd.property.Names": "['a'"}, re.compile("annotation org\\.systemd\\.property\\.Names=\\['a' value parse error: .* \\(annotations.*\\)")),
        ("property that is too large", "", {"org.systemd.property.TasksMax": "byte 256"}, re.compile("annotation org\\.systemd\\.property\\.TasksMax=byte 256 value parse error: .* \\(annotations.*\\)")),
        ("time that is no number", "", {"org.systemd.property.TimeoutStopSec": "'soon'"}, "annotation org.systemd.property.TimeoutStopSec='soon' value parse error: not a number (annotations[\"org.systemd.property.TimeoutStopSec\"])"),
    )
)
LIMITS = (
    Lie("processors that are not there", (("set", "linux.resources.cpu", {"cpus": "4000"}),), "{started}cannot write '4000' to /sys/fs/cgroup/cpuset/{id}/cpuset.cpus (linux.resources.cpu.cpus): ERANGE: numerical result out of range", valid=True),
    Lie("processors that are no numbers", (("set", "linux.resources.cpu", {"cpus": "one"}),), "{started}cannot write 'one' to /sys/fs/cgroup/cpuset/{id}/cpuset.cpus (linux.resources.cpu.cpus): EINVAL: invalid argument", valid=True),
    Lie("memory node that is not there", (("set", "linux.resources.cpu", {"mems": "900"}),), "{started}cannot write '900' to /sys/fs/cgroup/cpuset/{id}/cpuset.mems (linux.resources.cpu.mems): EINVAL: invalid argument", valid=True),
    Lie("quota too small", (("set", "linux.resources.cpu", {"quota": 5, "period": 100000}),), "{started}cannot write '5' to /sys/fs/cgroup/cpu/{id}/cpu.cfs_quota_us (linux.resources.cpu.quota): EINVAL: invalid argument", valid=True),
    Lie("huge pages of 3 MB", (("set", "linux.resources.hugepageLimits", [{"pageSize": "3MB", "limit": 1}]),), "{started}cannot write '1' to /sys/fs/cgroup/unified/{id}/hugetlb.3MB.max (linux.resources.hugepageLimits[0]): ENOENT: no such file or directory", valid=True),
    Lie("device that is not there", (("set", "linux.resources.blockIO", {"throttleReadBpsDevice": [{"major": 4000, "minor": 1, "rate": 1}]}),), "{started}cannot write '4000:1 1' to /sys/fs/cgroup/blkio/{id}/blkio.throttle.read_bps_device (linux.resources.blockIO.throttleReadBpsDevice[0]): ENODEV: no such device", valid=True),
    Lie("unified file that is not there", (("set", "linux.resources.unified", {"memory.nothing": "1"}),), "cannot apply linux.resources.unified (linux.resources.unified): invalid configuration: cannot use unified on cgroup v1", valid=True),
)
SYSCTLS = tuple(
    Lie(name, (("set", "linux.sysctl", {key: value}),), says, valid=valid)
    for name, key, value, says, valid in (
        ("sysctl of the whole machine", "kernel.panic", "1", "sysctl \"kernel.panic\" is not in a separate kernel namespace (linux.sysctl[\"kernel.panic\"])", False),
        ("sysctl that is not there", "net.ipv4.nothing", "1", "{started}cannot set sysctl net.ipv4.nothing to '1' (linux.sysctl.net.ipv4.nothing): ENOENT: no such file or directory", True),
        ("sysctl that leads out", "net.../../../etc/passwd", "1", "this is not the name of a kernel parameter with its value (linux.sysctl[\"net.../../../etc/passwd\"])", False),
        ("sysctl that leads out by slashes", "net/../kernel/panic", "1", "this is not the name of a kernel parameter with its value (linux.sysctl[\"net/../kernel/panic\"])", False),
        ("sysctl with a value that is none", "net.ipv4.ip_forward", "perhaps", "{started}cannot set sysctl net.ipv4.ip_forward to 'perhaps' (linux.sysctl.net.ipv4.ip_forward): EINVAL: invalid argument", True),
        ("sysctl that is a folder", "net.ipv4", "1", "{started}cannot set sysctl net.ipv4 to '1' (linux.sysctl.net.ipv4): EISDIR: is a directory", True),
        ("sysctl without a name", "", "1", "this is not the name of a kernel parameter with its value (linux.sysctl[\"\"])", False),
        ("sysctl of 5000 letters", "net." + "x" * 5000, "1", re.compile("\\{started\\}cannot set sysctl net\\.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.+xxxxxxxxxxxxxxxxxxxxxxxxx\\): ENAMETOOLONG: file name too long", re.S), True),
    )
)
DEVICES = (
    Lie("device on a folder", (("set", "linux.devices", [{"type": "c", "path": "/etc", "major": 1, "minor": 3}]),), "{started}cannot make character device /etc 1:3 mode 666 owner 0:0 (linux.devices[0]): EEXIST: file exists: something else is there already: /etc", valid=True),
    Lie("device that is there already", (("set", "linux.devices", [{"type": "c", "path": "/etc/passwd", "major": 1, "minor": 3}]),), "{started}cannot make character device /etc/passwd 1:3 mode 666 owner 0:0 (linux.devices[0]): EEXIST: file exists: something else is there already: /etc/passwd", valid=True),
    Lie("device below a file", (("set", "linux.devices", [{"type": "p", "path": "/etc/passwd/x"}]),), "{started}cannot make fifo /etc/passwd/x 0:0 mode 666 owner 0:0 (linux.devices[0]): ENOTDIR: not a directory: target /etc/passwd/x", valid=True),
    Lie("device with a number too large", (("set", "linux.devices", [{"type": "c", "path": "/dev/x", "major": 5000, "minor": 3}]),), "Linux has no such device number (linux.devices[0])"),
)
SECCOMP = tuple(
    Lie(name, (edit,), says, valid=valid)
    for name, edit, says, valid in (
        ("unknown action", seccomp(rule(action="SCMP_ACT_SCOLD")), "string SCMP_ACT_SCOLD is not a valid action for seccomp (linux.seccomp.syscalls[0].action)", False),
        ("unknown default action", seccomp(defaultAction="allow"), "string allow is not a valid action for seccomp (linux.seccomp.defaultAction)", False),
        ("unknown architecture", seccomp(architectures=["SCMP_ARCH_Z80"]), "string SCMP_ARCH_Z80 is not a valid arch for seccomp (linux.seccomp.architectures[0])", False),
        ("unknown operator", seccomp(rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_ODD"}])), "string SCMP_CMP_ODD is not a valid operator for seccomp (linux.seccomp.syscalls[0].args[0].op)", False),
        ("argument 6", seccomp(rule(args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])), "a system call has the arguments 0 to 5 (linux.seccomp.syscalls[0].args[0].index)", False),
        ("argument -1", seccomp(rule(args=[{"index": -1, "value": 1, "op": "SCMP_CMP_EQ"}])), "expected an integer from 0 to 4294967295, found -1 (linux.seccomp.syscalls[0].args[0].index)", False),
        ("argument of 65 bits", seccomp(rule(args=[{"index": 0, "value": 1 << 64, "op": "SCMP_CMP_EQ"}])), "expected an integer from 0 to 18446744073709551615, found 18446744073709551616 (linux.seccomp.syscalls[0].args[0].value)", False),
        ("errno where nothing returns one", seccomp(rule(action="SCMP_ACT_KILL", errnoRet=1)), "SCMP_ACT_KILL returns no errno (linux.seccomp.syscalls[0].errnoRet)", False),
        ("errno too large", seccomp(rule(errnoRet=4096)), "4096 is too large for SCMP_ACT_ERRNO (linux.seccomp.syscalls[0].errnoRet)", False),
        ("errno by default where nothing returns one", seccomp(defaultErrnoRet=1), "SCMP_ACT_ALLOW returns no errno (linux.seccomp.defaultErrnoRet)", False),
        ("unknown flag", seccomp(flags=["SECCOMP_FILTER_FLAG_FAST"]), "unknown seccomp flag \"SECCOMP_FILTER_FLAG_FAST\" (linux.seccomp.flags[0])", False),
        ("rule without names", seccomp(rule(names=[])), "at least one system call must be named (linux.seccomp.syscalls[0].names)", False),
        ("notification by default", seccomp(defaultAction="SCMP_ACT_NOTIFY"), "SCMP_ACT_NOTIFY cannot be used as default action (linux.seccomp.defaultAction)", False),
        ("notification without a listener", seccomp(rule(action="SCMP_ACT_NOTIFY")), "SCMP_ACT_NOTIFY needs a listenerPath (linux.seccomp.syscalls[0].action)", False),
        ("notification", seccomp(rule(action="SCMP_ACT_NOTIFY"), listenerPath="/run/agent.sock"), "{started}cannot send the seccomp listener to /run/agent.sock (linux.seccomp.listenerPath): ENOENT: no such file or directory: failed to connect with seccomp agent specified in the seccomp profile", True),
        ("notification to nobody by that name", seccomp(rule(action="SCMP_ACT_NOTIFY"), listenerPath="@pyrunc-nobody"), "{started}cannot send the seccomp listener to @pyrunc-nobody (linux.seccomp.listenerPath): ECONNREFUSED: connection refused: failed to connect with seccomp agent specified in the seccomp profile", True),
        ("metadata without a listener", seccomp(listenerMetadata="x"), "listenerMetadata must not be set without listenerPath (linux.seccomp.listenerMetadata)", False),
        ("100,000 rules", seccomp(*(rule(args=[{"index": 0, "value": n, "op": "SCMP_CMP_EQ"}]) for n in range(100_000))), "cannot compile the seccomp filter (linux.seccomp): E2BIG: argument list too long: more than 4096 instructions, and the kernel takes 4096", None),
    )
)


def hook(kind: str, **values: object) -> tuple[str, str, object]:
    return "set", f"hooks.{kind}", [{"path": "/bin/sh", "args": ["sh", "-c", "exit 7"], **values}]


NOTHING: dict[str, object] = {"path": "/nothing/here", "args": ["x"]}
SLOW: dict[str, object] = {"args": ["sh", "-c", "exec sleep 100"], "timeout": 1}
HOOKS = (
    Lie("hook missing", (hook("createRuntime", **NOTHING),), "{started}cannot run createRuntime hook /nothing/here (hooks.createRuntime[0]): error running createRuntime hook #0: fork/exec /nothing/here: no such file or directory", valid=True),
    Lie("hook is a folder", (hook("prestart", path="/etc"),), "{started}cannot run prestart hook /etc (hooks.prestart[0]): error running prestart hook #0: fork/exec /etc: permission denied", valid=True),
    Lie("hook may not be run", (hook("createRuntime", path="/etc/passwd"),), "{started}cannot run createRuntime hook /etc/passwd (hooks.createRuntime[0]): error running createRuntime hook #0: fork/exec /etc/passwd: permission denied", valid=True),
    Lie("hook fails", (hook("createRuntime"),), "{started}cannot run createRuntime hook /bin/sh (hooks.createRuntime[0]): error running createRuntime hook #0: exit status 7, stdout: , stderr: ", valid=True),
    Lie("hook takes too long", (hook("createRuntime", **SLOW),), "{started}cannot run createRuntime hook /bin/sh (hooks.createRuntime[0]): error running createRuntime hook #0: hook ran past specified timeout of 1.0s", valid=True, commands=("run",)),
    Lie("hook missing inside", (hook("createContainer", **NOTHING),), "{started}error running createContainer hook #0: no such file or directory (hooks.createContainer[0])", valid=True),
    Lie("hook is a folder inside", (hook("createContainer", path="/etc"),), "{started}error running createContainer hook #0: permission denied (hooks.createContainer[0])", valid=True),
    Lie("hook fails inside", (hook("createContainer"),), "{started}error running createContainer hook #0: exit status 7 (hooks.createContainer[0])", valid=True),
    Lie("hook takes too long inside", (hook("createContainer", **SLOW),), "{started}error running createContainer hook #0: hook ran past specified timeout of 1.0s (hooks.createContainer[0])", valid=True, commands=("run",)),
    Lie("hook of start missing", (hook("startContainer", **NOTHING),), "{started}error running startContainer hook #0: no such file or directory (hooks.startContainer[0])", valid=True, commands=("run",)),
    Lie("hook of start fails", (hook("startContainer"),), "{started}error running startContainer hook #0: exit status 7 (hooks.startContainer[0])", valid=True, commands=("run",)),
    Lie("hook after start missing", (hook("poststart", **NOTHING),), "{started}cannot run poststart hook /nothing/here (hooks.poststart[0]): error running poststart hook #0: fork/exec /nothing/here: no such file or directory", valid=True, commands=("run",)),
    Lie("hook after start fails", (hook("poststart"),), "{started}cannot run poststart hook /bin/sh (hooks.poststart[0]): error running poststart hook #0: exit status 7, stdout: , stderr: ", valid=True, commands=("run",)),
    Lie("hook floods", (hook("createRuntime", args=["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; exit 1"]),), re.compile("\\{started\\}cannot run createRuntime hook /bin/sh \\(hooks\\.createRuntime\\[0\\]\\): error running cre.+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, stderr: ", re.S), valid=True, commands=("run",)),
)

CALLS = (
    Lie("console socket missing", (("set", "process.terminal", True),), "{started}cannot send the terminal to {bundle}/nothing (process.terminal): ENOENT: no such file or directory", valid=True, flags=("--console-socket", "{bundle}/nothing"), commands=("create",)),
    Lie("console socket is a file", (("set", "process.terminal", True),), "{started}cannot send the terminal to {bundle}/config.json (process.terminal): ECONNREFUSED: connection refused", valid=True, flags=("--console-socket", "{bundle}/config.json"), commands=("create",)),
    Lie("terminal without a console socket", (("set", "process.terminal", True),), "cannot allocate tty if runc will detach without setting console socket", valid=True, commands=("create",)),
    Lie("console socket without a terminal", (), "cannot use console socket if runc will not detach or allocate tty", valid=True, flags=("--console-socket", "{bundle}/nothing")),
    Lie("terminal without devpts", (("set", "process.terminal", True), ("set", "mounts", [])), "{started}cannot open a terminal of the container -> console (process.terminal): ENOENT: no such file or directory: target /dev/pts", valid=True, commands=("run",)),
    Lie("folder of the pid file missing", (), "{started}cannot write the pid file {bundle}/nothing/pid: ENOENT: no such file or directory", valid=True, flags=("--pid-file", "{bundle}/nothing/pid")),
    Lie("pid file is a folder", (), "{started}cannot write the pid file {bundle}/rootfs: EISDIR: is a directory", valid=True, flags=("--pid-file", "{bundle}/rootfs")),
    Lie("descriptor to preserve is not open", (), "{started}cannot pass on file descriptor 42: unable to stat preserved-fd: EBADF: bad file descriptor", valid=True, flags=("--preserve-fds", "40")),
    Lie("too many descriptors to preserve", (), "invalid value for --preserve-fds: 9999999", flags=("--preserve-fds", "9999999"), valid=True),
    Lie("pidfd socket missing", (), "cannot send a pidfd to {bundle}/nothing: ENOENT: no such file or directory", valid=True, flags=("--pidfd-socket", "{bundle}/nothing")),
)

COUNTS = (
    Lie("100,000 namespaces", (("repeat", "linux.namespaces", 100_000, {"type": "pid"}),), "malformed spec file: duplicated ns \"pid\" (linux.namespaces[1])", valid=None),
    Lie("100,000 rlimits", (("repeat", "process.rlimits", 100_000, {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}),), "RLIMIT_CPU is listed twice (process.rlimits[1])", valid=None),
    Lie("100,000 mounts on a file", (("repeat", "mounts", 100_000, fs("tmpfs", "/etc/passwd")),), "{started}{mounting}cannot mount tmpfs on /etc/passwd (mounts[0]): ENOTDIR: not a directory: target /etc/passwd", valid=None),
    Lie("200,000 variables", (("repeat", "process.env", 200_000, "LONG_NAME_{n}=value"),), "exec /bin/true: argument list too long", valid=None, commands=("run",)),
)
