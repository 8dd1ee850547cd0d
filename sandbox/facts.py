"""Facts about the host that plans depend on, read once before compiling. Reads only; decides nothing."""

from __future__ import annotations

import posix

from pyrunc.sandbox.cgroup.layout import read_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.cgroup.layout import Layout
    from pyrunc.sandbox.resctrl import Resctrl

LAST_CAP = 40  # CAP_CHECKPOINT_RESTORE; newer kernels say so in /proc/sys/kernel/cap_last_cap


class Facts:
    """What is true of this host and this caller.

    `rootless`: not root, or root only of a user namespace. `setgroups_denied`: this user namespace's.
    `has_helpers`: newuidmap and newgidmap are to be used for maps of more than the caller's own id. `manager`: the
    systemd that makes cgroups, ("system" or "user", its own cgroup), None where there is none or nobody asked.
    """

    __slots__ = (
        "egid", "euid", "has_helpers", "has_kcore", "in_user_namespace", "last_cap", "layout", "manager", "resctrl",
        "rootless", "setgroups_denied",
    )  # fmt: skip

    def __init__(
        self,
        layout: Layout,
        euid: int = 0,
        egid: int = 0,
        in_user_namespace: bool = False,
        last_cap: int = LAST_CAP,
        has_kcore: bool = True,
        has_helpers: bool = False,
        setgroups_denied: bool = False,
        manager: tuple[str, str] | None = None,
    ) -> None:
        self.layout = layout
        self.euid = euid
        self.egid = egid
        self.in_user_namespace = in_user_namespace
        self.rootless = euid != 0 or in_user_namespace
        self.last_cap = last_cap
        self.has_kcore = has_kcore
        self.has_helpers = has_helpers
        self.setgroups_denied = setgroups_denied
        self.resctrl: Resctrl | None = None
        self.manager = manager


def read_facts() -> Facts:
    """The facts of this machine and process, from /proc and /sys; raises OSError where /proc is missing."""
    euid = posix.geteuid()
    in_user_namespace = _first_line("/proc/self/uid_map").split() != ["0", "0", "4294967295"]
    return Facts(
        read_layout(),
        euid,
        posix.getegid(),
        in_user_namespace,
        int(_first_line("/proc/sys/kernel/cap_last_cap") or LAST_CAP),
        posix.access("/proc/kcore", posix.F_OK),
        euid != 0 and _has_helpers(),
        _first_line("/proc/self/setgroups") == "deny",
    )


def _has_helpers() -> bool:
    return posix.access("/usr/bin/newuidmap", posix.X_OK) and posix.access("/usr/bin/newgidmap", posix.X_OK)


def _first_line(path: str) -> str:
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return posix.read(fd, 4096).decode("ascii", "replace").split("\n", 1)[0]
    finally:
        posix.close(fd)
