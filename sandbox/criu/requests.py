"""What CRIU is asked for: options and a document as one request. Pure.

Names of external things travel in the images: what `dump` calls a mount or a namespace is what `restore` has to call
it. They are runc's, so that either can restore what the other has saved.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.namespaces import CLONE_FLAGS
from pyrunc.sandbox.criu import rpc
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyrunc.sandbox.criu.options import CriuOptions
    from pyrunc.specs.runtime import Spec

DUMP_LOG = "dump.log"
RESTORE_LOG = "restore.log"
LOG_LEVEL = 4  # debug: the only account there is when something goes wrong
OWN_CONFIG = "/etc/criu/pyrunc.conf"
RUNC_CONFIG = "/etc/criu/runc.conf"
CONFIG_ANNOTATION = "org.criu.config"
DEV_NULL = "/dev/null"  # what all masked files are called
# Namespaces that CRIU leaves as they are, and its word for one in `external`. It has words for the others only when
# they are to be joined.
EXTERNAL = {"network": ("net", "extRootNetNS"), "pid": ("pid", "extRootPidNS")}
JOINED = {"ipc": "ipc", "uts": "uts", "user": "user", "mount": "mnt", "time": "time"}


def config_file(annotations: Mapping[str, str], has_own: bool) -> str | None:
    """CRIU's configuration file, whose settings win over ours: the container's, or the runtime's. None: only CRIU's
    own. A file that does not exist is passed over by CRIU."""
    if CONFIG_ANNOTATION in annotations:
        return annotations[CONFIG_ANNOTATION] or None
    return OWN_CONFIG if has_own else RUNC_CONFIG


def cgroup_mode(name: str) -> int:
    if name not in rpc.CGROUP_MODES:
        raise PyruncError("invalid manage-cgroups-mode value", hint="soft, full, strict or ignore")
    return rpc.CGROUP_MODES[name]


def dump_request(
    options: CriuOptions, *, pid: int, root: str, images: int, work: int, config: str | None,
    mounts: Iterable[tuple[str, str]], namespaces: Iterable[tuple[str, int]], freezer: str,
) -> rpc.Message:  # fmt: skip
    """To save process `pid` and all below it. `mounts`: (place, name) of those that come from outside; `namespaces`:
    (type, inode) likewise; `freezer`: the folder of its freezer or ""; `work`: a descriptor or -1."""
    opts = _common(options, images, work, DUMP_LOG, config)
    opts |= {
        "pid": pid, "root": root, "leave_running": options.leave_running, "link_remap": options.link_remap,
        "tcp_skip_in_flight": options.tcp_skip_in_flight,
        "external": [f"{EXTERNAL[kind][0]}[{inode}]:{EXTERNAL[kind][1]}" for kind, inode in namespaces],
    }  # fmt: skip
    if freezer:
        opts["freeze_cgroup"] = freezer
    if options.page_server is not None:
        opts["ps"] = {"address": options.page_server[0], "port": options.page_server[1]}
    if options.parent:
        opts |= {"parent_img": options.parent, "track_mem": True}
    if not options.pre_dump:  # which saves memory, and does not look at mounts
        opts["ext_mnt"] = [{"key": place, "val": name} for place, name in mounts]
    return {"type": rpc.PRE_DUMP if options.pre_dump else rpc.DUMP, "opts": opts}


def restore_request(
    options: CriuOptions, *, root: str, images: int, work: int, config: str | None,
    mounts: Iterable[tuple[str, str]], inherited: Iterable[tuple[str, int]], spec: Spec,
    cgroups: Iterable[tuple[str, str]],
) -> rpc.Message:  # fmt: skip
    """To make the processes again. `root`: a mount of the root file system; `mounts`: (name, source); `inherited`:
    (name, number) of descriptors that criu itself has; `cgroups`: (controllers, path) of the new place."""
    opts = _common(options, images, work, RESTORE_LOG, config)
    opts |= {
        "root": root, "evasive_devices": True, "rst_sibling": True,
        "ext_mnt": [{"key": name, "val": source} for name, source in mounts],
        "inherit_fd": [{"key": name, "fd": number} for name, number in inherited],
        "join_ns": [{"ns": JOINED[kind], "ns_file": path} for kind, path in _joined(spec)],
        "cg_root": [{"ctrl": controllers, "path": path} for controllers, path in cgroups],
    }  # fmt: skip
    if options.lsm_profile:
        opts["lsm_profile"] = options.lsm_profile
    if options.lsm_mount_context:
        opts["lsm_mount_context"] = options.lsm_mount_context
    return {"type": rpc.RESTORE, "opts": opts}


def _common(options: CriuOptions, images: int, work: int, log: str, config: str | None) -> rpc.Message:
    opts: rpc.Message = {
        "images_dir_fd": images, "log_level": LOG_LEVEL, "log_file": log, "notify_scripts": True,
        "manage_cgroups": True, "manage_cgroups_mode": cgroup_mode(options.cgroups_mode),
        "shell_job": options.shell_job, "ext_unix_sk": options.ext_unix_sk,
        "tcp_established": options.tcp_established, "file_locks": options.file_locks,
        # Devices and addresses are those of whoever made them: hooks, engines, linux.netDevices.
        "empty_ns": CLONE_FLAGS["network"],
        "orphan_pts_master": True, "auto_dedup": options.auto_dedup, "lazy_pages": options.lazy_pages,
    }  # fmt: skip
    if work >= 0:
        opts["work_dir_fd"] = work
    if config is not None:
        opts["config_file"] = config
    return opts


def _joined(spec: Spec) -> list[tuple[str, str]]:
    found = [(item.type, item.path, item.pointer) for item in spec.linux.namespaces if item.path]
    for kind, path, pointer in found:
        if kind == "cgroup":
            raise Failure(
                f"restore into cgroup namespace {path}", pointer, detail="CRIU cannot join one",
                hint="leave its path out: the container gets one of its own",
            )  # fmt: skip
    return [(kind, path) for kind, path, _ in found if kind in JOINED]
