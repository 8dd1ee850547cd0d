"""Moves network devices of the host into a container (config-linux.md "Network Devices"), by pyroute2.

Only loaded for a document that asks for it: pyroute2 takes 140 ms to import. What a device had stays with it: address,
MTU and MAC by the kernel, permanent addresses of global scope by us. Nothing is moved back: the kernel does that with
physical devices when the namespace ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrunc.specs.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

PERMANENT = 0x80  # IFA_F_PERMANENT
GLOBAL = 0  # RT_SCOPE_UNIVERSE


def move_device(pid: int, source: str, name: str, pointer: str) -> None:
    """Moves device `source` into the network namespace of process `pid` as `name`, with its addresses, and sets it up.

    Raises Failure: there is no such device, the name is taken there, or the kernel says no.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    what = f"move network device {source} into the container" + (f" as {name}" if name != source else "")
    try:
        with IPRoute() as host:
            index = _index(host, source)
            if index is None:
                raise Failure(what, pointer, 19, hint="`ip link` shows the host's devices")  # ENODEV
            addresses = list(_addresses(host, index))
            with IPRoute(netns=f"/proc/{pid}/ns/net") as inside:
                # Looked up before the move: the kernel renames only after it, and what has moved does not come back.
                if _index(inside, name) is not None:
                    raise Failure(what, pointer, 17, hint="a device of that name is there already")  # EEXIST
            host.link("set", index=index, net_ns_pid=pid, ifname=name)
        with IPRoute(netns=f"/proc/{pid}/ns/net") as inside:
            index = _index(inside, name)
            if index is None:
                raise Failure(what, pointer, 19)
            for address in addresses:
                inside.addr("add", index=index, **address)
            inside.link("set", index=index, state="up")
    except NetlinkError as error:
        raise Failure(what, pointer, error.code) from None
    except OSError as error:
        raise Failure(what, pointer, error.errno or 0) from None


def _index(route: Any, name: str) -> int | None:
    found = route.link_lookup(ifname=name)
    return int(found[0]) if found else None


def _addresses(route: Any, index: int) -> Iterator[dict[str, Any]]:
    """Those that somebody has configured; what the kernel made itself it makes again."""
    for item in route.get_addr(index=index):
        flags = item.get("IFA_FLAGS") or item["flags"]
        if item["scope"] == GLOBAL and flags & PERMANENT:
            yield {
                "address": item.get("IFA_LOCAL") or item.get("IFA_ADDRESS"),
                "prefixlen": item["prefixlen"],
                "family": item["family"],
            }
