"""Broken bundles: what is wrong with each, and the one sentence that pyrunc answers. Data alone."""

# ruff: noqa: E501 - one lie, one line: the answer stands beside what was wrong

from __future__ import annotations

import re

from .words import Lie

CONFIG = "config.json"
USERNS = (
    ("set", "linux.uidMappings", [{"containerID": 0, "hostID": 100000, "size": 65536}]),
    ("set", "linux.gidMappings", [{"containerID": 0, "hostID": 100000, "size": 65536}]),
    ("add", "linux.namespaces", {"type": "user"}),
)
ELF = b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x08\0\1\0\0\0" + bytes(100)  # MIPS


def bind(source: str, destination: str, *options: str) -> dict[str, object]:
    return {"destination": destination, "type": "bind", "source": source, "options": ["bind", *options]}


def fs(kind: str, destination: str, *options: str) -> dict[str, object]:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


def rule(**values: object) -> dict[str, object]:
    return {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", **values}


def seccomp(*rules: dict[str, object], **values: object) -> tuple[str, str, object]:
    return "set", "linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **values}


# -- the file config.json ---------------------------------------------------------------------------------------------
FILE = (
    Lie("no config.json", (("remove", CONFIG),), "JSON specification file config.json not found"),
    Lie("empty file", (("file", CONFIG, b""),), "config.json is empty"),
    Lie("null", (("file", CONFIG, b"null"),), "config cannot be null"),
    Lie("an array", (("file", CONFIG, b"[]"),), "expected an object, found an array"),
    Lie("cut off", (("file", CONFIG, b'{"ociVersion": "1.0.2", "process": {"ar'),), "not JSON: Unterminated string starting at line 1, column 37"),
    Lie("cut off between members", (("file", CONFIG, b'{"ociVersion": "1.0.2",\n "root":'),), "not JSON: expected a value at line 2, column 9"),
    Lie("two documents", (("file", CONFIG, b'{}\n{}'),), "not JSON: expected the end of the document at line 2, column 1"),
    Lie("a comment", (("file", CONFIG, b'{} // fine'),), "not JSON: expected the end of the document at line 1, column 4"),
    Lie("not UTF-8", (("file", CONFIG, b'{"hostname": "\xff"}'),), "byte 14 of the document is not UTF-8"),
    Lie("overlong UTF-8", (("file", CONFIG, b'{"hostname": "\xc0\x80"}'),), "byte 14 of the document is not UTF-8"),
    Lie("UTF-16", (("file", CONFIG, '{"a": 1}'.encode("utf-16")),), "byte 0 of the document is not UTF-8"),
    Lie("a byte order mark", (("file", CONFIG, b'\xef\xbb\xbf{}'),), "not JSON: expected a value at line 1, column 1"),
    Lie("half of a surrogate pair", (("file", CONFIG, b'{"ociVersion": "1.0.2", "hostname": "\\ud800"}'),), "a string has half of a surrogate pair, which UTF-8 cannot express"),
    Lie("a control character in a string", (("file", CONFIG, b'{"hostname": "a\nb"}'),), "not JSON: Invalid control character at line 1, column 16"),
    Lie("a member twice", (("file", CONFIG, b'{"ociVersion": "1.0.2", "ociVersion": "1.0.2"}'),), "this member name occurs twice in one object (ociVersion)"),
    Lie("a member twice, deep inside", (("file", CONFIG, b'{"linux": {"a": [{"b": 1, "b": 2}]}}'),), "this member name occurs twice in one object (linux.a[0].b)"),
    Lie("not a number", (("file", CONFIG, b'{"process": {"user": {"uid": NaN}}}'),), "NaN is not a JSON number"),
    Lie("infinity", (("file", CONFIG, b'{"process": {"user": {"uid": -Infinity}}}'),), "-Infinity is not a JSON number"),
    Lie("nested 200 deep", (("file", CONFIG, b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"),), "the document is nested more than 128 levels deep"),
    Lie("nested 1,000,000 deep", (("file", CONFIG, b"[" * 1_000_000),), "the document is nested more than 128 levels deep"),
    Lie("5000 digits", (("file", CONFIG, b'{"process": {"user": {"uid": ' + b"1" * 5000 + b"}}}"),), "not JSON: a number of thousands of digits at line 1, column 30"),
    Lie("larger than 16 MiB", (("file", CONFIG, b"{" + b" " * (16 << 20) + b"}"),), "config.json is larger than 16 MiB"),
    Lie("endless", (("link", CONFIG, "/dev/zero"),), "config.json is larger than 16 MiB"),
    Lie("a folder", (("folder", CONFIG),), "cannot read {bundle}/config.json: EISDIR: is a directory"),
    Lie("a fifo", (("fifo", CONFIG),), "config.json is empty"),
    Lie("a socket", (("socket", CONFIG),), "cannot open {bundle}/config.json: ENXIO: no such device or address"),
    Lie("a link to itself", (("link", CONFIG, CONFIG),), "cannot open {bundle}/config.json: ELOOP: too many levels of symbolic links"),
    Lie("a link to nothing", (("link", CONFIG, "nothing"),), "JSON specification file config.json not found"),
)  # fmt: skip

# -- values of other types -------------------------------------------------------------------------------------------
TYPES = tuple(
    Lie(f"{place} is {value!r}"[:80], (("set", place, value),), says)
    for place, value, says in (
        ("ociVersion", 1, "expected a string, found a number (ociVersion)"),
        ("ociVersion", None, "\"\" is not a version such as 1.3.0 (ociVersion)"),
        ("ociVersion", "invalid", "\"invalid\" is not a version such as 1.3.0 (ociVersion)"),
        ("ociVersion", "2.0.0", "version 2.0.0 of the specification is not supported, only version 1 is (ociVersion)"),
        ("process", 1, "expected an object, found a number (process)"),
        ("process", None, "process property must not be empty (process)"),
        ("process.args", "sh", "expected an array, found a string (process.args)"),
        ("process.args[0]", 1, "expected a string, found a number (process.args[0])"),
        ("process.args", None, "args must not be empty (process.args)"),
        ("process.args", [], "args must not be empty (process.args)"),
        ("process.env", {"A": "b"}, "expected an array, found an object (process.env)"),
        ("process.env[0]", None, "expected a string, found null (process.env[0])"),
        ("process.env", ["A"], "invalid environment variable: missing '=' (process.env[0])"),
        ("process.env", ["=b"], "invalid environment variable: name cannot be empty (process.env[0])"),
        ("process.cwd", ["/"], "expected a string, found an array (process.cwd)"),
        ("process.cwd", "", "Cwd property must not be empty (process.cwd)"),
        ("process.cwd", "tmp", "Cwd must be an absolute path (process.cwd)"),
        ("process.user", "root", "expected an object, found a string (process.user)"),
        ("process.user.uid", "0", "expected an integer, found a string (process.user.uid)"),
        ("process.user.uid", -1, "expected an integer from 0 to 4294967294, found -1 (process.user.uid)"),
        ("process.user.uid", 2**32 - 1, "expected an integer from 0 to 4294967294, found 4294967295 (process.user.uid)"),
        ("process.user.gid", 10**30, "expected an integer from 0 to 4294967294, found 1000000000000000000000000000000 (process.user.gid)"),
        ("process.user.uid", True, "expected an integer, found a boolean (process.user.uid)"),
        ("process.user.uid", 0.0, "expected an integer, found 0.0 (process.user.uid)"),
        ("process.user.uid", 1e3, "expected an integer, found 1000.0 (process.user.uid)"),
        ("process.user.umask", 2**32, "expected an integer from 0 to 4294967295, found 4294967296 (process.user.umask)"),
        ("process.user.additionalGids", [-1], "expected an integer from 0 to 4294967294, found -1 (process.user.additionalGids[0])"),
        ("process.terminal", "yes", "expected a boolean, found a string (process.terminal)"),
        ("process.capabilities", ["CAP_KILL"], "expected an object, found an array (process.capabilities)"),
        ("process.capabilities.bounding", "CAP_KILL", "expected an array, found a string (process.capabilities.bounding)"),
        ("process.rlimits", {}, "expected an array, found an object (process.rlimits)"),
        ("process.rlimits[0].soft", "1024", "expected an integer, found a string (process.rlimits[0].soft)"),
        ("process.rlimits[0].soft", 2048, "the soft limit is above the hard limit (process.rlimits[0])"),
        ("process.rlimits[0].hard", 2**64, "expected an integer from 0 to 18446744073709551615, found 18446744073709551616 (process.rlimits[0].hard)"),
        ("process.rlimits[0].type", "RLIMIT_SPEED", "wrong rlimit value: RLIMIT_SPEED (process.rlimits[0].type)"),
        ("process.oomScoreAdj", 1001, "oomScoreAdj must be from -1000 to 1000 (process.oomScoreAdj)"),
        ("process.scheduler", {"policy": "SCHED_SOON"}, "unknown scheduler policy \"SCHED_SOON\" (process.scheduler.policy)"),
        ("process.ioPriority", {"class": "IOPRIO_CLASS_NONE", "priority": 9}, "invalid ioPriority.Class: \"IOPRIO_CLASS_NONE\" (process.ioPriority.class)"),
        ("root", "rootfs", "expected an object, found a string (root)"),
        ("root", None, "root must be specified (root)"),
        ("root.path", 1, "expected a string, found a number (root.path)"),
        ("root.path", "", "the path of the root filesystem must not be empty (root.path)"),
        ("root.readonly", "no", "expected a boolean, found a string (root.readonly)"),
        ("mounts", {}, "expected an array, found an object (mounts)"),
        ("mounts[0]", "/proc", "expected an object, found a string (mounts[0])"),
        ("mounts[0].destination", None, "this property is required (mounts[0].destination)"),
        ("mounts[0].destination", "", "a mount needs a destination (mounts[0].destination)"),
        ("mounts[0].options", "ro", "expected an array, found a string (mounts[0].options)"),
        ("mounts[0].options", [["ro"]], "expected a string, found an array (mounts[0].options[0])"),
        ("hostname", 1, "expected a string, found a number (hostname)"),
        ("annotations", [], "expected an object, found an array (annotations)"),
        ("annotations", {"a": 1}, "expected a string, found a number (annotations[\"a\"])"),
        ("annotations", {"": "a"}, "the key of an annotation must not be empty (annotations)"),
        ("hooks", [], "expected an object, found an array (hooks)"),
        ("hooks.prestart", {}, "expected an array, found an object (hooks.prestart)"),
        ("hooks.prestart", [{}], "this property is required (hooks.prestart[0].path)"),
        ("hooks.poststop", [{"path": "true"}], "the path of a hook must be absolute (hooks.poststop[0].path)"),
        ("hooks.createRuntime", [{"path": "/bin/true", "timeout": 0}], "the timeout of a hook must be greater than zero (hooks.createRuntime[0].timeout)"),
        ("hooks.createRuntime", [{"path": "/bin/true", "env": ["A"]}], "invalid environment variable: missing '=' (hooks.createRuntime[0].env[0])"),
        ("linux", [], "expected an object, found an array (linux)"),
        ("linux.namespaces", {}, "expected an array, found an object (linux.namespaces)"),
        ("linux.namespaces[0]", "pid", "expected an object, found a string (linux.namespaces[0])"),
        ("linux.namespaces[0].type", "space", "namespace \"space\" does not exist (linux.namespaces[0].type)"),
        ("linux.namespaces[0].type", "network", "malformed spec file: duplicated ns \"network\" (linux.namespaces[1])"),
        ("linux.namespaces[0].path", "proc/1/ns/pid", "the path of a namespace must be absolute (linux.namespaces[0].path)"),
        ("linux.uidMappings", {}, "expected an array, found an object (linux.uidMappings)"),
        ("linux.cgroupsPath", 1, "expected a string, found a number (linux.cgroupsPath)"),
        ("linux.resources", [], "expected an object, found an array (linux.resources)"),
        ("linux.resources.devices", [{}], "this property is required (linux.resources.devices[0].allow)"),
        ("linux.resources.devices", [{"allow": "no"}], "expected a boolean, found a string (linux.resources.devices[0].allow)"),
        ("linux.resources.devices", [{"allow": True, "type": "x"}], "invalid cgroup device type \"x\" (linux.resources.devices[0].type)"),
        ("linux.resources.devices", [{"allow": True, "access": "rwx"}], "device access \"rwx\" has letters other than rwm (linux.resources.devices[0])"),
        ("linux.resources.devices", [{"allow": True, "type": "c", "major": -2}], "a device number must not be negative (linux.resources.devices[0])"),
        ("linux.resources.memory", {"limit": "1g"}, "expected an integer, found a string (linux.resources.memory.limit)"),
        ("linux.resources.memory", {"limit": 1.5}, "expected an integer, found 1.5 (linux.resources.memory.limit)"),
        ("linux.resources.memory", {"swap": 1 << 30}, "unable to set swap limit without memory limit (linux.resources.memory.swap)"),
        ("linux.resources.memory", {"limit": 2 << 30, "swap": 1 << 30}, "memory+swap limit should be >= memory limit (linux.resources.memory.swap)"),
        ("linux.resources.pids", {"limit": "many"}, "expected an integer, found a string (linux.resources.pids.limit)"),
        ("linux.resources.cpu", {"shares": -1}, "expected an integer from 0 to 18446744073709551615, found -1 (linux.resources.cpu.shares)"),
        ("linux.resources.blockIO", {"weight": 5}, "a weight goes from 10 to 1000 (linux.resources.blockIO.weight)"),
        ("linux.resources.hugepageLimits", [{"pageSize": "2 MB", "limit": 1}], "\"2 MB\" is not a page size such as 64KB, 2MB or 1GB (linux.resources.hugepageLimits[0].pageSize)"),
        ("linux.resources.unified", {"../cgroup.procs": "1"}, "\"../cgroup.procs\" is not the name of a file in a cgroup (linux.resources.unified)"),
        ("linux.rootfsPropagation", "public", "rootfsPropagation=public is not supported (linux.rootfsPropagation)"),
        ("linux.maskedPaths", "/proc/kcore", "expected an array, found a string (linux.maskedPaths)"),
        ("linux.maskedPaths", ["proc/kcore"], "the path must be absolute (linux.maskedPaths[0])"),
        ("linux.readonlyPaths", [1], "expected a string, found a number (linux.readonlyPaths[0])"),
        ("linux.sysctl", [], "expected an object, found an array (linux.sysctl)"),
        ("linux.sysctl", {"net.ipv4.ip_forward": 1}, "expected a string, found a number (linux.sysctl[\"net.ipv4.ip_forward\"])"),
        ("linux.devices", [{"type": "x", "path": "/dev/x"}], "this property is required (linux.devices[0].major)"),
        ("linux.devices", [{"type": "c", "path": "dev/x", "major": 1, "minor": 3}], "the path of a device must be absolute (linux.devices[0].path)"),
        ("linux.devices", [{"type": "c", "path": "/dev/x", "major": -1, "minor": 3}], "Linux has no such device number (linux.devices[0])"),
        ("linux.seccomp", [], "expected an object, found an array (linux.seccomp)"),
        ("linux.seccomp", {}, "this property is required (linux.seccomp.defaultAction)"),
    )
)

# -- values that no system call takes --------------------------------------------------------------------------------
NULS = tuple(
    Lie(f"NUL in {place}: {value!r}", (("set", place, value),), says)
    for place, value, says in (
        ("process.args[0]", "a\0b", "a NUL character is not allowed here (process.args[0])"),
        ("process.env[1]", "A=b\0c", "a NUL character is not allowed here (process.env[1])"),
        ("process.cwd", "/\0", "a NUL character is not allowed here (process.cwd)"),
        ("root.path", "rootfs\0", "a NUL character is not allowed here (root.path)"),
        ("hostname", "a\0b", "a NUL character is not allowed here (hostname)"),
        ("mounts[0].destination", "/proc\0", "a NUL character is not allowed here (mounts[0].destination)"),
        ("mounts[0].source", "proc\0", "a NUL character is not allowed here (mounts[0].source)"),
        ("mounts[1].options[0]", "no\0suid", "a NUL character is not allowed here (mounts[1].options[0])"),
        ("linux.cgroupsPath", "/{id}\0", "a NUL character is not allowed here (linux.cgroupsPath)"),
        ("linux.maskedPaths[0]", "/proc/acpi\0", "a NUL character is not allowed here (linux.maskedPaths[0])"),
        ("linux.sysctl", {"net.ipv4.ip_forward": "1\0"}, "this is not the name of a kernel parameter with its value (linux.sysctl[\"net.ipv4.ip_forward\"])"),
        ("linux.sysctl", {"net.ipv4.ip_\0forward": "1"}, "this is not the name of a kernel parameter with its value (linux.sysctl[\"net.ipv4.ip_\u0000forward\"])"),
        ("linux.namespaces[0].path", "/proc/1/ns/pid\0", "a NUL character is not allowed here (linux.namespaces[0].path)"),
        ("hooks.prestart", [{"path": "/bin/true\0"}], "a NUL character is not allowed here (hooks.prestart[0].path)"),
        ("linux.resources.unified", {"memory.max": "1\0"}, "\"memory.max\" is not the name of a file in a cgroup (linux.resources.unified)"),
    )
)

# -- the root file system --------------------------------------------------------------------------------------------
ROOTFS = (
    Lie("rootfs missing", (("remove", "rootfs"),), "cannot find the root file system {bundle}/rootfs (root.path): ENOENT: no such file or directory", valid=True),
    Lie("rootfs is a file", (("file", "rootfs", b""),), "cannot use {bundle}/rootfs as root file system (root.path): ENOTDIR: not a directory", valid=True),
    Lie("rootfs is a fifo", (("fifo", "rootfs"),), "cannot use {bundle}/rootfs as root file system (root.path): ENOTDIR: not a directory", valid=True),
    Lie("rootfs is a link", (("link", "rootfs", "out-of-the-way"),), "invalid rootfs: not an absolute path, or a symlink (root.path)", valid=True),
    Lie("rootfs is a link to nothing", (("link", "rootfs", "nothing"),), "invalid rootfs: not an absolute path, or a symlink (root.path)", valid=True),
    Lie("rootfs is below a file", (("set", "root.path", "config.json/rootfs"),), "cannot find the root file system {bundle}/config.json/rootfs (root.path): ENOTDIR: not a directory", valid=True),
    Lie("rootfs with a name too long", (("set", "root.path", "x" * 300),), "cannot find the root file system {bundle}/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx (root.path): ENAMETOOLONG: file name too long", valid=True),
    Lie("/proc is a link", (("link", "rootfs/proc", "tmp"),), "{started}{mounting}cannot mount proc on /proc (mounts[0]): must be mounted on ordinary directory: /proc", valid=True),
    Lie("/proc is an absolute link", (("link", "rootfs/proc", "/tmp"),), "{started}{mounting}cannot mount proc on /proc (mounts[0]): must be mounted on ordinary directory: /proc", valid=True),
    Lie("/proc is a file", (("file", "rootfs/proc", b""),), "{started}{mounting}cannot mount proc on /proc (mounts[0]): must be mounted on ordinary directory: /proc", valid=True),
    Lie("/sys is a link", (("link", "rootfs/sys", "tmp"),), "{started}{mounting}cannot mount sysfs on /sys (ro,nosuid,nodev,noexec) (mounts[5]): must be mounted on ordinary directory: /sys", valid=True),
    Lie("/dev is a link to itself", (("link", "rootfs/dev", "dev"),), "{started}{mounting}cannot mount tmpfs on /dev (mode=755,size=65536k,nosuid,strictatime) (mounts[1]): ELOOP: too many levels of symbolic links: target /dev", valid=True),
    Lie("/dev is a file", (("file", "rootfs/dev", b""),), "{started}{mounting}cannot mount tmpfs on /dev (mode=755,size=65536k,nosuid,strictatime) (mounts[1]): ENOTDIR: not a directory: target /dev", valid=True),
    Lie("/dev/shm is a link to itself", (("drop", "mounts[1]"), ("link", "rootfs/dev/shm", "shm")), "{started}{mounting}cannot mount tmpfs on /dev/shm (mode=1777,size=65536k,nosuid,nodev,noexec) (mounts[2]): ELOOP: too many levels of symbolic links: target /dev/shm", valid=True),
    Lie("/dev/null is a file", (("drop", "mounts[1]"), ("file", "rootfs/dev/null", b"x")), "{started}cannot make character device /dev/null 1:3 mode 666 owner 0:0 (linux.devices): EEXIST: file exists: something else is there already: /dev/null", valid=True),
    Lie("/dev/null is a folder", (("drop", "mounts[1]"), ("folder", "rootfs/dev/null")), "{started}cannot make character device /dev/null 1:3 mode 666 owner 0:0 (linux.devices): EEXIST: file exists: something else is there already: /dev/null", valid=True),
)

# -- mounts -------------------------------------------------------------------------------------------------------------
MOUNTS = tuple(
    Lie(name, (("add", "mounts", mount),), says, valid=True)
    for name, mount, says in (
        ("mount on /", fs("tmpfs", "/"), "mounting on / would hide the root file system (mounts[7])"),
        ("mount on /..", fs("tmpfs", "/tmp/../.."), "mounting on / would hide the root file system (mounts[7])"),
        ("mount inside /proc", fs("tmpfs", "/proc/sys"), "\"/proc/sys\" cannot be mounted because it is inside /proc (mounts[7])"),
        ("mount inside /proc by way of ..", fs("tmpfs", "/tmp/../proc/self/attr"), "\"/proc/self/attr\" cannot be mounted because it is inside /proc (mounts[7])"),
        ("tmpfs on /proc", fs("tmpfs", "/proc"), "\"/proc\" cannot be mounted: it is not a procfs (mounts[7])"),
        ("unknown file system", fs("noodlefs", "/tmp"), "{started}{mounting}cannot mount noodlefs on /tmp (mounts[7]): ENODEV: no such device"),
        ("no type", fs("", "/tmp"), "a mount needs a type, or the option bind (mounts[7])"),
        ("type with a slash", fs("../tmpfs", "/tmp"), "{started}{mounting}cannot mount ../tmpfs on /tmp (mounts[7]): ENODEV: no such device"),
        ("disk that is not there", {**fs("ext4", "/tmp"), "source": "/dev/no-such-disk"}, "{started}{mounting}cannot mount ext4 on /tmp (mounts[7]): ENOENT: no such file or directory: the file system says: /dev/no-such-disk: Can't lookup blockdev"),
        ("unknown option of tmpfs", fs("tmpfs", "/tmp", "colour=blue"), "{started}{mounting}cannot mount tmpfs on /tmp (colour=blue) (mounts[7]): EINVAL: invalid argument: the file system refused option colour=blue: tmpfs: Unknown parameter 'colour'"),
        ("value that tmpfs does not take", fs("tmpfs", "/tmp", "size=huge"), "{started}{mounting}cannot mount tmpfs on /tmp (size=huge) (mounts[7]): EINVAL: invalid argument: the file system refused option size=huge: tmpfs: Bad value for 'size'"),
        ("option of another file system", fs("proc", "/tmp", "size=1m"), "{started}{mounting}cannot mount proc on /tmp (size=1m) (mounts[7]): EINVAL: invalid argument: the file system refused option size=1m: proc: Unknown parameter 'size'"),
        ("option of 5000 letters", fs("tmpfs", "/tmp", "x" * 5000), re.compile("\\{started\\}\\{mounting\\}cannot mount tmpfs on /tmp \\(relatime,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.+xxxxxxxxxxxxxxxxxxxxx\\) \\(mounts\\[7\\]\\): EINVAL: invalid argument", re.S)),
        ("missing source of a bind", bind("/nothing/here", "/tmp"), "{started}{mounting}cannot bind /nothing/here on /tmp (mounts[7]): ENOENT: no such file or directory: source /nothing/here"),
        ("missing source of a bind in the bundle", bind("nothing", "/tmp"), "{started}{mounting}cannot bind {bundle}/nothing on /tmp (mounts[7]): ENOENT: no such file or directory: source {bundle}/nothing"),
        ("source of a bind below a file", bind("{bundle}/config.json/x", "/tmp"), "{started}{mounting}cannot bind {bundle}/config.json/x on /tmp (mounts[7]): ENOTDIR: not a directory: source {bundle}/config.json/x"),
        ("no source of a bind", {"destination": "/tmp", "options": ["bind"]}, "a bind needs a source (mounts[7])"),
        ("bind with options of a file system", bind("/tmp", "/tmp", "size=1m"), "bind mounts cannot have any filesystem-specific options applied: size=1m (mounts[7])"),
        ("folder on a file", bind("{bundle}/rootfs", "/etc/passwd"), "{started}{mounting}cannot bind {bundle}/rootfs on /etc/passwd (mounts[7]): ENOTDIR: not a directory: target /etc/passwd"),
        ("file on a folder", bind("{bundle}/config.json", "/tmp"), "{started}{mounting}cannot bind {bundle}/config.json on /tmp (mounts[7]): EINVAL: invalid argument"),
        ("target below a file", fs("tmpfs", "/etc/passwd/x"), "{started}{mounting}cannot mount tmpfs on /etc/passwd/x (mounts[7]): ENOTDIR: not a directory: target /etc/passwd/x"),
        ("target with a name too long", fs("tmpfs", "/" + "x" * 300), re.compile("\\{started\\}\\{mounting\\}cannot mount tmpfs on /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", re.S)),
        ("target too deep", fs("tmpfs", "/x" * 2500), re.compile("\\{started\\}error during container init: error mounting \"tmpfs\" to rootfs at \"/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/.+/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x", re.S)),
        ("remount of what is no mount", fs("tmpfs", "/etc", "remount", "ro"), "{started}{mounting}cannot remount /etc (+ro) (mounts[7]): EINVAL: invalid argument"),
        ("remount of what is not there", fs("tmpfs", "/nothing", "remount", "ro"), "{started}{mounting}cannot remount /nothing (+ro) (mounts[7]): ENOENT: no such file or directory: target /nothing"),
        ("cgroup on a file", fs("cgroup", "/etc/passwd"), "{started}{mounting}cannot mount tmpfs on /etc/passwd (mode=755,nosuid,nodev,noexec) (mounts[7]): ENOTDIR: not a directory: target /etc/passwd"),
    )
)
