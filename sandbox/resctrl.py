"""linux.intelRdt: groups of the resctrl file system, which share out caches and memory bandwidth (Intel RDT, AMD QoS,
Arm MPAM). Loaded for a document that asks for it.

`read_resctrl` looks at the system, `groups` decides, the rest does what it is told. Nothing here knows where resctrl is
mounted but `read_resctrl`: every path comes in.
"""

from __future__ import annotations

import posix

from pyrunc.sandbox.cgroup.steps import read, write
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyrunc.specs.sections import IntelRdt

POINTER = "linux.intelRdt"
GONE = (2, 20, 19)  # ENOENT, ENOTDIR, ENODEV


class Resctrl:
    """Where resctrl is mounted, and which kinds of schema it takes."""

    __slots__ = ("caches", "memory", "root")

    def __init__(self, root: str, caches: bool = True, memory: bool = True) -> None:
        self.root = root
        self.caches = caches
        self.memory = memory


class Groups:
    """A container's groups. `rule` tells how `path` comes to be: "own" (made, or taken over, and written), "shared"
    (made and written, or there with just these schemata) or "preset" (there). `monitor` is "" without one of its own.
    """

    __slots__ = ("monitor", "path", "rule", "schemata")

    def __init__(self, path: str, rule: str, schemata: str, monitor: str) -> None:
        self.path = path
        self.rule = rule
        self.schemata = schemata
        self.monitor = monitor

    @property
    def removable(self) -> list[str]:
        """What goes with the container if it was made for it: never a group that the document names."""
        return [path for path in (self.monitor, self.path if self.rule == "own" else "") if path]

    @property
    def entered(self) -> list[str]:
        """The group before its monitoring group: that takes only processes that are in the first."""
        return [path for path in (self.path, self.monitor) if path]


def read_resctrl(mountinfo: str = "") -> Resctrl | None:
    """What this host has; None where resctrl is not mounted."""
    root = mount_point(mountinfo or read("/proc/self/mountinfo") or "")
    if not root:
        return None
    return Resctrl(root, posix.access(f"{root}/info/L3", posix.F_OK), posix.access(f"{root}/info/MB", posix.F_OK))


def mount_point(mountinfo: str) -> str:
    for line in mountinfo.split("\n"):
        left, _, right = line.partition(" - ")
        if right.startswith("resctrl "):
            return left.split(" ")[4].replace("\\040", " ")
    return ""


def groups(rdt: IntelRdt, id: str, host: Resctrl | None) -> Groups:
    """The groups that the document asks for. Texts are runc's."""
    if host is None:
        raise PyruncError(
            "intelRdt is specified in config, but Intel RDT is not enabled", POINTER,
            "mount -t resctrl resctrl /sys/fs/resctrl, if the machine can do it",
        )  # fmt: skip
    for value, available, what in (
        (rdt.l3_cache_schema, host.caches, "l3CacheSchema is specified in config, but Intel RDT/CAT"),
        (rdt.mem_bw_schema, host.memory, "memBwSchema is specified in config, but Intel RDT/MBA"),
    ):
        if value and not available:
            raise PyruncError(f"intelRdt.{what} is not enabled", POINTER)
    # `schemata` last: it wins (config-linux.md#intelrdt).
    lines = [line for line in (rdt.l3_cache_schema, rdt.mem_bw_schema, *rdt.schemata) if line]
    name = rdt.clos_id or id
    path = host.root if name == "/" else f"{host.root}/{name}"
    rule = "own" if not rdt.clos_id else "shared" if lines else "preset"
    monitor = f"{path}/mon_groups/{id}" if rdt.enable_monitoring else ""
    return Groups(path, rule, "".join(f"{line}\n" for line in lines), monitor)


def make(path: str, rule: str, schemata: str) -> bool:
    """Makes a group, with these schemata. Whether it was not there before."""
    made = False
    try:
        if rule == "preset":
            if not posix.access(f"{path}/schemata", posix.F_OK):
                raise Failure(
                    f"find the class of service {path}", f"{POINTER}.closID", 2,
                    "clos dir not accessible (must be pre-created when schemata, l3CacheSchema and memBwSchema are "
                    "empty)", "make it, or give its schemata",
                )  # fmt: skip
            return False
        try:
            posix.mkdir(path, 0o755)
            made = True
        except FileExistsError:
            if rule == "shared":
                check_same(path, schemata)
                return False
        if schemata:
            set_schemata(path, schemata)
    except OSError as error:
        raise refusal(f"make the resctrl group {path}", path, error) from None
    except PyruncError:
        if made:
            posix.rmdir(path)
        raise
    return made


def set_schemata(path: str, schemata: str) -> None:
    try:
        write(f"{path}/schemata", schemata)
    except OSError as error:
        raise refusal(f"write {schemata!r} to {path}/schemata", path, error) from None


def enter(paths: list[str], pid: int) -> None:
    """Moves a process; what it starts from then on is in the group as well."""
    for path in paths:
        try:
            write(f"{path}/tasks", str(pid))
        except OSError as error:
            raise refusal(f"move process {pid} to the resctrl group {path}", path, error) from None


def remove(paths: list[str]) -> None:
    for path in paths:
        try:
            posix.rmdir(path)
        except OSError as error:
            if error.errno not in GONE:
                raise Failure(f"remove the resctrl group {path}", POINTER, error.errno or 0) from None


def check_same(path: str, schemata: str) -> None:
    """A group that others use must have the schemata asked for already (config-linux.md#intelrdt)."""
    there = parsed(read(f"{path}/schemata") or "")
    for (kind, domain), value in parsed(schemata).items():
        now = there.get((kind, domain))
        # The kernel rounds bandwidths up to what the hardware can do.
        step = int(read(f"{path.rpartition('/')[0]}/info/MB/bandwidth_gran") or 1) if kind == "MB" else 1
        if now is None or not value <= now < value + step:
            raise PyruncError(
                f"the class of service {path} has other schemata: "
                f"{kind}:{domain} is {'missing' if now is None else _shown(kind, now)}, not {_shown(kind, value)}",
                POINTER, "another closID, or the schemata that it has",
            )  # fmt: skip


def parsed(schemata: str) -> dict[tuple[str, str], int]:
    """(resource, domain) -> mask or bandwidth, of lines such as `L3:0=7f0;1=1f`."""
    found = {}
    for line in schemata.split("\n"):
        kind, _, rest = line.strip().partition(":")
        for pair in rest.split(";") if rest else []:
            domain, _, value = pair.partition("=")
            try:
                found[kind, domain.strip().lstrip("0") or "0"] = int(value, 10 if kind == "MB" else 16)
            except ValueError:
                raise PyruncError(f"{line!r} is no schema such as L3:0=ff;1=ff or MB:0=50", POINTER) from None
    return found


def _shown(kind: str, value: int) -> str:
    return str(value) if kind == "MB" else f"{value:x}"


def refusal(what: str, path: str, error: OSError) -> Failure:
    """With what the kernel has to say besides the number."""
    said = ""
    while path and not said:  # the file is at the top of the file system
        path = path.rpartition("/")[0]
        said = read(f"{path}/info/last_cmd_status") or "" if path else ""
    detail = f"last_cmd_status: {said}" if said and said != "ok" else ""
    return Failure(what, POINTER, error.errno or 0, detail)


# -- statistics -------------------------------------------------------------------------------------------------------


def read_stats(where: Groups, host: Resctrl) -> dict[str, Any]:
    """`intel_rdt` of the `stats` event, in runc's form."""
    own = (read(f"{where.path}/schemata") or "").strip().split("\n")
    root = (read(f"{host.root}/schemata") or "").strip().split("\n")
    found: dict[str, Any] = {}
    bandwidth = ("bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids")
    for there, word, info, prefix, files in (
        (host.caches, "L3", "l3_cache_info", "l3_cache", ("min_cbm_bits", "num_closids")),
        (host.memory, "MB", "mem_bw_info", "mem_bw", bandwidth),
    ):
        if there:
            numbers = {name: int(read(f"{host.root}/info/{word}/{name}") or 0) for name in files}
            mask = {"cbm_mask": (read(f"{host.root}/info/L3/cbm_mask") or "").strip()} if word == "L3" else {}
            found[info] = {name: value for name, value in {**mask, **numbers}.items() if value}
            for key, lines in ((f"{prefix}_schema_root", root), (f"{prefix}_schema", own)):
                matching = [line.strip() for line in lines if word in line]
                found.update({key: matching[-1]} if matching else {})
    found["schemata"] = own
    return {**found, **_monitored(where, (read(f"{host.root}/info/L3_MON/mon_features") or "").split())}


def _monitored(where: Groups, features: list[str]) -> dict[str, Any]:
    """What each cache has counted: bytes of memory traffic, and how full it is."""
    kinds = {"mbm_stats": ("mbm_total_bytes", "mbm_local_bytes"), "cmt_stats": ("llc_occupancy",)}
    data = f"{where.monitor or where.path}/mon_data"
    domains = sorted(posix.listdir(data)) if features and posix.access(data, posix.F_OK) else []
    found: dict[str, Any] = {}
    for key, names in kinds.items():
        if set(names) & set(features):
            found[key] = [{name: _count(f"{data}/{domain}/{name}") for name in names} for domain in domains]
    return found


def _count(path: str) -> int:
    """0 for what is "Unavailable" at the moment."""
    text = (read(path) or "").strip()
    return int(text) if text.isdecimal() else 0
