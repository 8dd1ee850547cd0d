"""Which systemd makes a caller's cgroups, and below which cgroup of its own. Reads only; decides nothing else."""

from __future__ import annotations

import posix

from pyrunc.sandbox.cgroup.steps import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.facts import Facts

BOOTED = "/run/systemd/system"  # sd_booted(3)
INIT = "/init.scope"


def find_manager(facts: Facts) -> None:
    """Sets `facts.manager`; where there is no systemd it stays None. The controllers are then those that this systemd
    has to give: the user's may have fewer than the machine."""
    from pyrunc.sandbox.systemd.bus import PRIVATE

    if not posix.access(BOOTED, posix.F_OK):
        return
    # Root of a user namespace is either the system's root (a container that was booted) or a user who made himself one.
    if facts.euid == 0 and (not facts.in_user_namespace or posix.access(PRIVATE, posix.W_OK)):
        facts.manager = "system", _own_cgroup()
        return
    from pyrunc.sandbox.systemd.manager import Manager

    with Manager("user") as manager:
        control_group = manager.control_group()
    facts.manager = "user", control_group
    unified = facts.layout.unified
    if unified is not None:
        given = read(f"{unified.folder(control_group)}/cgroup.controllers")
        unified.controllers = tuple((given or "").split())


def _own_cgroup() -> str:
    """Of process 1, which lives in a unit of its own; "" for the top, which it is but inside a container."""
    for line in (read("/proc/1/cgroup") or "").split("\n"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names in ("", "name=systemd") and path.endswith(INIT):
            return path.removesuffix(INIT)
    return ""
