"""The config.json to begin with: what `pyrunc spec` writes and images are converted upon.

Must not look at the machine: who asks and which cgroups there are is told.
"""

from __future__ import annotations

from pyrunc.specs.runtime import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
MOUNTS = (
    ("/proc", "proc", "proc", ()),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", "relatime", "ro")),
)
MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/sys/devices/virtual/powercap", "/proc/scsi",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def default_spec(rootless: bool = False, uid: int = 0, gid: int = 0, cgroup2: bool = False) -> dict[str, Any]:
    """The document; `uid` and `gid` are the caller's effective ones, which a rootless container maps to its root."""
    return {
        "ociVersion": VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [PATH, "TERM=xterm"],
            "cwd": "/",
            "capabilities": {kind: list(CAPABILITIES) for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "pyrunc",
        "mounts": [rootless_mount(*mount) if rootless else one_mount(*mount) for mount in MOUNTS],
        "linux": linux(rootless, uid, gid, cgroup2),
    }


def linux(rootless: bool, uid: int, gid: int, cgroup2: bool) -> dict[str, Any]:
    kinds = ["pid", "ipc", "uts", "mount"] if rootless else ["pid", "network", "ipc", "uts", "mount"]
    if cgroup2:
        kinds.append("cgroup")
    if rootless:
        kinds.append("user")
        section: dict[str, Any] = {
            "uidMappings": [{"containerID": 0, "hostID": uid, "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": gid, "size": 1}],
        }
    else:
        section = {"resources": {"devices": [{"allow": False, "access": "rwm"}]}}
    section["namespaces"] = [{"type": kind} for kind in kinds]
    section["maskedPaths"] = list(MASKED_PATHS)
    section["readonlyPaths"] = list(READONLY_PATHS)
    return section


def one_mount(destination: str, kind: str, source: str, options: tuple[str, ...]) -> dict[str, Any]:
    mount: dict[str, Any] = {"destination": destination, "type": kind, "source": source}
    if options:
        mount["options"] = list(options)
    return mount


def rootless_mount(destination: str, kind: str, source: str, options: tuple[str, ...]) -> dict[str, Any]:
    """Without a network namespace of its own a user namespace may not mount sysfs, and only one id is mapped."""
    if destination == "/sys":
        return one_mount("/sys", "none", "/sys", ("rbind", *options))
    return one_mount(
        destination, kind, source, tuple(option for option in options if not option.startswith(("gid=", "uid=")))
    )
