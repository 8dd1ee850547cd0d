"""Changes the limits of a living container: memory, cpu, cpuset, pids and the rest, on cgroup v1 and v2.

All or nothing: when one write fails, those before it are taken back. The kernel allows some limits only in one order,
which depends on what is set now (memory and swap, period and quota); so what it refuses as unfitting is tried again
after the others. Off the hot path; device rules are not touched.
"""

from __future__ import annotations

import posix

from pyrunc.sandbox.cgroup import limits_v1, limits_v2
from pyrunc.sandbox.cgroup.steps import EBUSY, EINVAL, ENOENT, read, refusal, write
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.runtime import Resources

    Write = tuple[str, str, str, str]  # path, value, pointer, tolerance
    Old = tuple[str, str]  # path, value

# Files with a line for each device, and what lifts a device's limit.
KEYED = {
    "io.max": "rbps=max wbps=max riops=max wiops=max",
    "io.weight": "default",
    "io.bfq.weight": "default",
    "blkio.bfq.weight_device": "default",
    "blkio.weight_device": "0",
    "blkio.leaf_weight_device": "0",
    "blkio.throttle.read_bps_device": "0",
    "blkio.throttle.write_bps_device": "0",
    "blkio.throttle.read_iops_device": "0",
    "blkio.throttle.write_iops_device": "0",
    "net_prio.ifpriomap": "0",
    "rdma.max": "hca_handle=max hca_object=max",
}


def update(folders: list[str], resources: Resources) -> None:
    """Writes the limits that `resources` has to the container's cgroups, which `folders` are. Raises Failure for the
    first that cannot be set; then all are as they were."""
    writes = plan_update(folders, resources)
    old = previous(writes)
    try:
        carry_out(writes)
    except BaseException:
        bring_back(old)
        raise


def carry_out(writes: list[Write]) -> None:
    """All writes, in as many passes as it takes; raises Failure, with what was written before it still written."""
    pending = writes
    while pending:
        refused = _pass(pending)
        if len(refused) == len(pending):
            (path, value, pointer, _), error = refused[0]
            raise refusal(path, value, pointer, error)
        pending = [item for item, _ in refused]


def _pass(writes: list[Write]) -> list[tuple[Write, OSError]]:
    """Writes what the kernel takes and returns what does not fit yet."""
    refused = []
    for item in writes:
        path, value, pointer, tolerance = item
        try:
            write(path, value)
        except OSError as error:
            if error.errno == ENOENT and tolerance == "missing_ok":
                continue
            if error.errno not in (EINVAL, EBUSY):
                raise refusal(path, value, pointer, error) from None
            refused.append((item, error))
    return refused


def previous(writes: list[Write]) -> list[Old]:
    """What has to be written to get back to what is in force now, in the reverse order."""
    found: dict[tuple[str, str], str] = {}
    for path, value, _, _ in writes:
        key = value.split(" ")[0] if path.rpartition("/")[2] in KEYED else ""
        now = read(path) if (path, key) not in found else None
        if now is not None:
            found[path, key] = _line_of(path, key, now) if key else _writable(path, now)
    return [(path, value) for (path, _), value in reversed(found.items())]


def bring_back(old: list[Old]) -> None:
    """Writes the values of `previous`, again and again while that gets further. What the kernel does not take back then
    stays as it is: nothing better is left to try, and the error to tell is the first one."""
    left = old
    while left:
        refused = []
        for path, value in left:
            try:
                write(path, value)
            except OSError:
                refused.append((path, value))
        if len(refused) == len(left):
            return
        left = refused


def _line_of(path: str, key: str, now: str) -> str:
    """The line of one device in a file that has a line for each; without one it has no limit."""
    for line in now.split("\n"):
        if line.split(" ")[0] == key:
            return line
    if key == "default":  # a file of older kernels with nothing but the default
        return f"default {now}"
    return f"{key} {KEYED[path.rpartition('/')[2]]}"


def _writable(path: str, now: str) -> str:
    """The content of a file in the form in which it can be written."""
    if path.endswith("/memory.oom_control"):
        return now.split()[1]
    if path.endswith("/schemata"):
        return f"{now}\n"  # resctrl refuses a last line without an end
    return now or "\n"


def plan_update(folders: list[str], resources: Resources) -> list[Write]:
    """The writes that the change takes. Which folder serves a controller is told by the files in it."""
    found: list[Write] = []
    serving = {
        controller: next((p for p in folders for probe in probes if posix.access(f"{p}/{probe}", posix.F_OK)), None)
        for controller, probes in files_of_controllers(resources).items()
    }
    del serving["io" if serving["blkio"] else "blkio"]  # two names of one thing
    for controller, folder in serving.items():
        version = 2 if folder is not None and read(f"{folder}/cgroup.controllers") is not None else 1
        tables = (limits_v1.CONTROLLERS, limits_v2.CONTROLLERS)
        table = tables[version - 1] if controller in tables[version - 1] else tables[2 - version]
        files = table[controller](resources)
        if controller in ("io", "blkio"):
            files = _weights(folder, version, resources) + files
        if not files or (folder is None and controller in ("net_cls", "net_prio") and _is_v2(folders)):
            continue
        if folder is None:
            raise Failure(f"update {files[0][2]}", files[0][2], detail=f"the container has no {controller} cgroup")
        if controller == "memory":
            _check_usage(folder, resources)
        if controller == "cpu":
            files = _cpu(folder, version, resources, files)
        found += [(f"{folder}/{file}", value, pointer, tolerance) for file, value, pointer, tolerance in files]
    if resources.unified:
        folder = next((path for path in folders if read(f"{path}/cgroup.controllers") is not None), None)
        if folder is None:
            raise Failure("update unified", "unified", detail="invalid configuration: cannot use unified on cgroup v1")
        found += [(f"{folder}/{file}", *rest) for file, *rest in limits_v2.unified(resources)]  # type: ignore[misc]
    return found


def files_of_controllers(resources: Resources) -> dict[str, list[str]]:
    """Files of which a cgroup below the root has one when it has the controller, on v1 or on v2."""
    sizes = [item.page_size for item in resources.hugepage_limits]
    return {
        "cpuset": ["cpuset.cpus"],
        "cpu": ["cpu.shares", "cpu.weight"],
        "memory": ["memory.stat"],
        "pids": ["pids.max"],
        "blkio": ["blkio.reset_stats"],
        "io": ["io.stat"],
        "hugetlb": [f"hugetlb.{size}.{end}" for size in sizes for end in ("limit_in_bytes", "max")],
        "net_cls": ["net_cls.classid"],
        "net_prio": ["net_prio.ifpriomap"],
        "rdma": ["rdma.max"],
    }


def ignored(folders: list[str], resources: Resources) -> list[str]:
    """Sentences about what a container on cgroup v2 cannot be given, and runc passes over as well."""
    names = files_of_controllers(resources) if _is_v2(folders) else {}
    return [sentence for name in names for sentence in limits_v2.ignored(resources, name)]


def _is_v2(folders: list[str]) -> bool:
    """Whether all is on cgroup v2; where both are, v1 has what v2 lacks."""
    return bool(folders) and all(read(f"{folder}/cgroup.controllers") is not None for folder in folders)


def _weights(folder: str | None, version: int, resources: Resources) -> list[Write]:
    """blockIO weights: two schedulers have files of their own."""
    either = limits_v1.blkio_weights(resources) if version == 1 else limits_v2.io_weights(resources)
    return [
        (first, value, pointer, "") if read(f"{folder}/{first}") is not None else (other, other_value, pointer, "")
        for first, value, other, other_value, pointer in either
    ]


def _cpu(folder: str, version: int, resources: Resources, files: list[Write]) -> list[Write]:
    """On v2 period and quota share a file: the half that is not asked for stays. An idle group takes no weight, so it
    is woken for the moment."""
    cpu = resources.cpu
    assert cpu is not None
    if version == 2:
        now = (read(f"{folder}/cpu.max") or "max 100000").split()
        quota = now[0] if not cpu.quota else limits_v2.number(cpu.quota)
        period = cpu.period or now[1]
        files = [(f, f"{quota} {period}" if f == "cpu.max" else value, *rest) for f, value, *rest in files]  # type: ignore[misc]
    if cpu.idle and cpu.shares and read(f"{folder}/cpu.idle") == "1":
        files = [("cpu.idle", "0", f"{cpu.pointer}.idle", ""), *files]
    return files


def _check_usage(folder: str, resources: Resources) -> None:
    """checkBeforeUpdate: no limit below what is in use, for the kernel would kill to get there."""
    memory = resources.memory
    assert memory is not None
    if not memory.check_before_update:
        return
    usage = int(read(f"{folder}/memory.current") or read(f"{folder}/memory.usage_in_bytes") or 0)
    for limit, name, member in ((memory.swap, "memory+swap", "swap"), (memory.limit, "memory", "limit")):
        if limit is not None and 0 < limit <= usage:
            raise PyruncError(f"rejecting {name} limit {limit} <= usage {usage}", f"{memory.pointer}.{member}")
