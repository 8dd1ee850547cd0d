"""crun's annotation run.oci.delegate-cgroup: the container's processes live in a cgroup below the one that has its
limits, and may do there what they like. Loaded only for documents that ask for it; pure.

The cgroup namespace is made while init is still in the upper one, so that the container sees that as the root and its
own as `/NAME`: only so can it hand controllers down to groups of its own.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.cgroup_mount import host_user
from pyrunc.sandbox.plan import host
from pyrunc.specs.errors import Failure, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.facts import Facts
    from pyrunc.sandbox.plan import Plan
    from pyrunc.specs.runtime import Spec

DELEGATE = "run.oci.delegate-cgroup"
PLACE = f'annotations["{DELEGATE}"]'
READY = 5


def delegated_cgroup(plan: Plan, spec: Spec, facts: Facts, above: str | None) -> str:
    """Makes the inner cgroup below `above`, the container's, and gives it to its user; returns the folder."""
    name = spec.annotations[DELEGATE].strip("/")
    if facts.layout.mode != "v2" or above is None:
        raise Failure(
            f"delegate the cgroup {name}", PLACE, detail="it takes a cgroup of the container's own, of version 2",
            hint="remove the annotation: delegation is not safe on cgroup v1",
        )  # fmt: skip
    if not name or "\n" in name or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise Invalid(f"{spec.annotations[DELEGATE]!r} is no name of a cgroup below another", PLACE)
    folder = above
    for part in name.split("/"):
        folder += f"/{part}"
        plan.host.append(host("make_cgroup", PLACE, folder, tolerate="exists_ok"))
    uid, gid = host_user(spec)
    if uid and facts.euid == 0:
        plan.host.append(host("delegate", PLACE, uid, gid, folder))
    return folder


def enter_delegated(plan: Plan, facts: Facts, above: str, folder: str) -> None:
    """Moves init there at the last rendezvous: its cgroup namespace exists by then. The controllers follow, because a
    cgroup with processes of its own hands none down."""
    unified = facts.layout.unified
    assert unified is not None
    steps = [host("enter_cgroups", PLACE, (folder,))]
    while above != folder:
        steps.append(host("enable_controllers", PLACE, above, " ".join(unified.controllers)))
        above += "/" + folder[len(above) + 1 :].partition("/")[0]
    last = next(index for index, item in enumerate(plan.host) if item.name == "answer" and item.values[0] == READY)
    plan.host[last:last] = steps
