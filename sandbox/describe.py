"""Operations in words: one verb phrase with its object for each, used by `pyrunc plan`, golden files and error
messages.

Only loaded to show a plan or to explain a failure. Numbers that have names in the kernel are shown by name. Values of
environment variables are secrets and are shown only on request.
"""

from __future__ import annotations

from pyrunc.sandbox.operations import PHASES, RENDEZVOUS, TOLERANCES, fields
from pyrunc.specs.section_rules import IO_CLASSES, MEMORY_FLAGS, MEMORY_MODES, SCHEDULER_FLAGS, SCHEDULER_POLICIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from pyrunc.sandbox.plan import Operation, Plan

    Fields = dict[str, Any]

CLONE = {
    0x10000000: "user", 0x00020000: "mount", 0x20000000: "pid", 0x40000000: "network", 0x04000000: "uts",
    0x08000000: "ipc", 0x02000000: "cgroup", 0x00000080: "time",
}  # fmt: skip
ATTRIBUTES = {
    0x1: "ro", 0x2: "nosuid", 0x4: "nodev", 0x8: "noexec", 0x10: "noatime", 0x20: "strictatime", 0x70: "atime",
    0x80: "nodiratime", 0x200000: "nosymfollow",
}  # fmt: skip
MOUNT_FLAGS = {
    0x1: "ro", 0x2: "nosuid", 0x4: "nodev", 0x8: "noexec", 0x10: "sync", 0x40: "mand", 0x80: "dirsync",
    0x100: "nosymfollow", 0x400: "noatime", 0x800: "nodiratime", 0x200000: "relatime", 0x800000: "iversion",
    0x1000000: "strictatime",
    0x2000000: "lazytime",
}  # fmt: skip
PROPAGATION = {0x20000: "unbindable", 0x40000: "private", 0x80000: "slave", 0x100000: "shared"}
RECURSIVE = 0x4000
# Fields of changed flags, and how they are written; `~` goes unless it is locked.
CHANGES = (
    ("set", "+", ""), ("clear", "-", ""), ("drop", "~", ""), ("rec_set", "+", "r"), ("rec_clear", "-", "r"),
)  # fmt: skip
NODES = {0o020000: "character device", 0o060000: "block device", 0o010000: "fifo"}


def describe(operation: Operation, reveal: bool = False) -> str:
    """`mount tmpfs on /dev`, for an operation of either list. `reveal` shows values of environment variables."""
    values: Fields = dict(zip([name for _, name in fields(operation.name)], operation.values, strict=True))
    if operation.name == "exec":
        return f"run {' '.join(values['args'])}" + _environment(values["env"], reveal)
    return WORDS[operation.name](values)


def lines(plan: Plan, reveal: bool = False) -> list[str]:
    """The plan as aligned text: side, phase, what is done (with tolerances), where it comes from."""
    return [text for _, text in rows(plan, reveal)]


def rows(plan: Plan, reveal: bool = False) -> list[tuple[Operation, str]]:
    """The same, each line with its operation."""
    ours = [("host", operation.name, operation) for operation in plan.host]
    split = next((index + 1 for index, row in enumerate(ours) if row[1] == "launch"), len(ours))
    shown = ours[:split]
    rest = ours[split:]
    for operation in plan.init:
        side = "start" if PHASES[operation.phase] in ("join", "spawn") else "init"
        shown.append((side, PHASES[operation.phase], operation))
        if operation.name == "sync":
            while rest:
                shown.append(rest.pop(0))
                if shown[-1][1] == "answer":
                    break
    shown += rest
    return [(operation, _row(side, phase, operation, reveal)) for side, phase, operation in shown]


def _row(side: str, phase: str, operation: Operation, reveal: bool) -> str:
    what = describe(operation, reveal)
    tolerated = [name for name, bit in TOLERANCES.items() if operation.tolerances & bit]
    if tolerated:
        what += f" [{', '.join(tolerated)}]"
    return f"{side:<6}{'' if side == 'host' else phase:<10}{what:<78}  {operation.pointer}".rstrip()


def _environment(env: Iterable[str], reveal: bool) -> str:
    shown = [item if reveal else item.split("=", 1)[0] for item in env]
    return f" with {' '.join(shown)}" if shown else ""


def _bits(value: int, names: dict[int, str]) -> str:
    found = []
    for bit in sorted(names, reverse=True):
        if value & bit == bit:
            found.append(names[bit])
            value &= ~bit
    if value:
        found.append(hex(value))
    return ",".join(reversed(found))


def _propagation(value: int) -> str:
    kind = _bits(value & ~RECURSIVE, PROPAGATION)
    return "r" + kind if value & RECURSIVE else kind


def _options(values: Fields) -> str:
    words = [*values.get("options", ())]
    if values.get("attr"):
        words.append(_bits(values["attr"], ATTRIBUTES))
    for field, sign, prefix in CHANGES:
        if values.get(field):
            words.append(sign + prefix + _bits(values[field], ATTRIBUTES))
    if values.get("propagation"):
        words.append(_propagation(values["propagation"]))
    return f" ({','.join(words)})" if words else ""


def _number(value: int) -> str:
    return "unlimited" if value in (-1, 0xFFFF_FFFF_FFFF_FFFF) else str(value)


def _limit(v: Fields) -> str:
    import resource

    names = {
        getattr(resource, name): name for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
    }
    return f"{names.get(v['resource'], v['resource'])} soft {_number(v['soft'])} hard {_number(v['hard'])}"


def _capabilities(mask: int) -> str:
    from pyrunc.sandbox.capabilities import names_of

    full = (1 << 41) - 1
    if mask & full == full:
        return "all"
    return ",".join(name.removeprefix("CAP_").lower() for name in names_of(mask)) or "none"


def _properties(v: Fields) -> str:
    def text(kind: str, value: Any) -> str:
        if kind == "b":
            return "yes" if value else "no"
        if kind == "t" and value == 0xFFFF_FFFF_FFFF_FFFF:
            return "infinity"
        if isinstance(value, (list, tuple)):
            return " ".join([text("", item) for item in value])
        return bytes(value).hex() if kind == "ay" else str(value)

    return ", ".join([f"{name}={text(kind, value)}" for name, kind, value in v["properties"]])


def _list(lines: str) -> str:
    return ", ".join(lines.split("\n"))


def _members(mask: bytes) -> str:
    bits = int.from_bytes(mask, "little")
    return ",".join([str(number) for number in range(bits.bit_length()) if bits >> number & 1])


def _named(number: int, names: tuple[str, ...]) -> str:
    return names[number] if number < len(names) else str(number)


def _scheduler(v: Fields) -> str:
    more = [f"{name} {v[name]}" for name in ("nice", "priority", "runtime", "deadline", "period") if v[name]]
    flags = [f"|{name}" for bit, name in enumerate(SCHEDULER_FLAGS) if v["flags"] >> bit & 1]
    return " ".join([f"set scheduler {_named(v['policy'], SCHEDULER_POLICIES)}{''.join(flags)}", *more])


WORDS: dict[str, Callable[[Fields], str]] = {
    # host
    "record": lambda v: "write the state record",
    "make_cgroup": lambda v: f"make cgroup {v['path']}",
    "start_unit": lambda v: f"have {v['manager']} systemd start {v['unit']} ({_properties(v)})",
    "change_unit": lambda v: f"have {v['manager']} systemd change {v['unit']} ({_properties(v)})",
    "enter_unit": lambda v: f"have {v['manager']} systemd put the launcher into {v['unit']}{v['below']}",
    "write": lambda v: f"write {v['value']!r} to {v['path']}",
    "enable_controllers": lambda v: f"enable controllers {v['controllers']} in {v['path']}",
    "inherit_cpuset": lambda v: f"take over {v['file']} of the parent in {v['path']}",
    "write_either": lambda v: f"write {v['value']!r} to {v['path']}, or {v['other_value']!r} to {v['other']}",
    "delegate": lambda v: f"delegate {v['path']} to user {v['uid']} group {v['gid']}",
    "open_cgroup": lambda v: f"open cgroup {v['path']} -> {v['cgroup']}",
    "open_namespace": lambda v: f"open {CLONE.get(v['flag'], v['flag'])} namespace {v['path']} -> {v['namespace']}",
    "map_namespace": lambda v: (
        f"make a user namespace with users {_list(v['uids'])} groups {_list(v['gids'])} -> {v['namespace']}"
    ),
    "open_process": lambda v: f"open the container's init -> {v['process']}",
    "listen": lambda v: f"listen on start.sock -> {v['listener']}",
    "inherit": lambda v: f"take over file descriptor {v['number']} -> {v['fd']}",
    "append_to": lambda v: f"open {v['path']} to append -> {v['file']}",
    "launch": lambda v: "start the launcher from a sealed memfd",
    "record_pid": lambda v: "write the pid to the state record",
    "id_maps": lambda v: (
        f"map users {_list(v['uids'])} groups {_list(v['gids'])}"
        + (", setgroups denied" if v["deny_setgroups"] else "")
    ),
    "enter_cgroups": lambda v: f"move init into {' '.join(v['paths'])}",
    "make_resctrl": lambda v: (
        f"{'find' if v['rule'] == 'preset' else 'make'} resctrl group {v['path']}"
        + (f" with {' '.join(v['schemata'].split())}" if v["schemata"] else "")
    ),
    "enter_resctrl": lambda v: f"move init into {' '.join(v['paths'])}",
    "network": lambda v: (
        f"move network device {v['source']} into the container" + (f" as {v['name']}" if v["name"] else "")
    ),
    "hooks": lambda v: f"run {v['kind']} hooks",
    "criu": lambda v: f"open the conversation with criu -> {v['link']}",
    "console": lambda v: "hand on the console",
    "listener": lambda v: "hand on the seccomp listener",
    "await": lambda v: f"-- await {RENDEZVOUS[v['rendezvous']]} --",
    "answer": lambda v: f"-- answer {RENDEZVOUS[v['rendezvous']]} --",
    # launcher
    "undumpable": lambda v: "become undumpable",
    "dumpable": lambda v: "become dumpable again",
    "raise_rlimit": lambda v: f"raise {_limit(v)}",
    "attach_devices": lambda v: f"attach device filter of {len(v['program']) // 8} instructions to {v['cgroup']}",
    "join": lambda v: f"join namespaces {_bits(v['flags'], CLONE)} of {v['namespace']}",
    "join_late": lambda v: f"join namespaces {_bits(v['flags'], CLONE)} of {v['namespace']}, if it was put off",
    "opener": lambda v: "leave an opener of sources behind",
    "spawn": lambda v: (
        "spawn init"
        + (f" with new {_bits(v['flags'], CLONE)}" if v["flags"] else "")
        + (f" into {v['cgroup']}" if v["cgroup"] else "")
    ),
    # init
    "sync": lambda v: f"-- sync {RENDEZVOUS[v['rendezvous']]}{' with ' + v['send'] if v['send'] else ''} --",
    "cpu_affinity": lambda v: f"run on CPUs {_members(v['mask'])}" if v["mask"] else "run on every CPU of its cpuset",
    "time_namespace": lambda v: (
        "make and enter a time namespace" + (f" with offsets {_list(v['offsets'].rstrip())}" if v["offsets"] else "")
    ),
    "become_root": lambda v: "become root of the user namespace",
    "new_session": lambda v: "make a new session",
    "unshare_cgroup": lambda v: "unshare the cgroup namespace",
    "security_attribute": lambda v: f"write {v['value']!r} to attribute {' or '.join(v['files'])}",
    "session_keyring": lambda v: f"join session keyring {v['name']}",
    "loopback_up": lambda v: "set the loopback device up",
    "hostname": lambda v: f"set hostname {v['name']!r}",
    "domainname": lambda v: f"set domainname {v['name']!r}",
    "open_null": lambda v: f"open the host's /dev/null -> {v['null']}",
    "propagate_root": lambda v: f"make / {_propagation(v['flags'])}",
    "open_root": lambda v: f"open root file system {v['path']}{' as a mount' if v['mount'] else ''}",
    "stack_root": lambda v: f"stack {len(v['layers'])} layers below {v['upper']} on the root{_options(v)}",
    "rebind_root": lambda v: f"drop the root's mounts and bind {v['source']} on {v['target']}",
    "mount": lambda v: f"mount {v['type']} on {v['target']}{_options(v)}",
    "mount_legacy": lambda v: f"mount {v['type']} on {v['target']} ({_bits(v['flags'], MOUNT_FLAGS)},{v['data']})",
    "bind": lambda v: (
        f"bind {v['source']} on {v['target']}{' recursively' if v['recursive'] else ''}{_options(v)}"
        + (f" with ids{' of all' if v['map_all'] else ''} by {v['id_map']}" if v["id_map"] else "")
    ),
    "dismiss_opener": lambda v: "dismiss the opener",
    "remount": lambda v: f"remount {v['target']}{_options(v)}",
    "set_attr": lambda v: f"change {v['mount']}{_options(v)}",
    "mkdir": lambda v: f"make folder {v['path']} mode {v['mode']:o}",
    "mknod": lambda v: (
        f"make {NODES.get(v['mode'] & 0o170000, 'node')} {v['path']} {v['major']}:{v['minor']}"
        f" mode {v['mode'] & 0o7777:o} owner {v['uid']}:{v['gid']}"
    ),
    "bind_device": lambda v: f"bind device {v['source']} on {v['path']}",
    "symlink": lambda v: f"link {v['path']} to {v['target']}",
    "open_folder": lambda v: f"open folder {v['path']} of the image -> {v['folder']}",
    "copy_up": lambda v: f"copy {v['folder']} into {v['mount']}",
    "label_mount": lambda v: f"label {v['mount']} {v['label']}",
    "hook": lambda v: f"run hook {v['path']}",
    "hook_output": lambda v: (
        f"hooks write output to {v['stdout'] or 'us'}, errors to {v['stderr'] or 'us'}"
    ),
    "pivot_root": lambda v: "pivot into the root file system",
    "move_root": lambda v: "move the root file system to / and chroot (no pivot)",
    "chroot": lambda v: "chroot into the root file system",
    "open_console": lambda v: f"open a terminal of the container -> {v['master']}",
    "use_console": lambda v: "take the terminal as standard input, output and error",
    "fresh_null": lambda v: "reopen /dev/null for standard streams",
    "sysctl": lambda v: f"set sysctl {v['key'].replace('/', '.')} to {v['value']!r}",
    "empty_folder": lambda v: f"make the folder that masks folders ({','.join(v['options'])})",
    "mask": lambda v: f"mask {v['path']}",
    "readonly": lambda v: f"make {v['path']} read-only",
    "root_attr": lambda v: f"change /{_options(v)}",
    "oom_score_adj": lambda v: f"set oom_score_adj to {v['value']}",
    "rlimit": lambda v: f"limit {_limit(v)}",
    "scheduler": _scheduler,
    "io_priority": lambda v: (
        f"set I/O priority {_named((v['value'] >> 13) - 1, IO_CLASSES)} level {v['value'] & 0x1FFF}"
    ),
    "personality": lambda v: f"set personality {v['value']:#x}",
    "memory_policy": lambda v: (
        f"set memory policy {_named(v['mode'] & 0xFFF, MEMORY_MODES)}"
        + "".join([f"|{name}" for name, bit in MEMORY_FLAGS.items() if v["mode"] & bit])
        + (f" of nodes {_members(v['nodes'])}" if v["nodes"] else "")
    ),
    "umask": lambda v: f"set umask {v['mask']:04o}",
    "chown_stdio": lambda v: f"give standard streams to user {v['uid']}",
    "chdir": lambda v: f"change to folder {v['path']}",
    "bounding": lambda v: f"bound capabilities to {_capabilities(v['mask'])}",
    "user": lambda v: (
        f"become user {v['uid']} group {v['gid']}" + (f" groups {','.join(v['groups'])}" if v["groups"] else "")
    ),
    "capabilities": lambda v: (
        f"set capabilities e={_capabilities(v['effective'])} p={_capabilities(v['permitted'])}"
        f" i={_capabilities(v['inheritable'])}"
    ),
    "ambient": lambda v: f"set ambient capabilities {_capabilities(v['mask'])}",
    "no_new_privileges": lambda v: "set no_new_privs",
    "home": lambda v: f"set HOME of user {v['uid']} when unset",
    "find_program": lambda v: f"find program {v['name']}",
    "wait_start": lambda v: f"wait for start on {v['listener']}",
    "seccomp": lambda v: f"load seccomp filter of {len(v['filter']) // 8} instructions",
    "keep_fds": lambda v: (
        f"keep {v['count']} more file descriptors" if v["count"] else "close all other file descriptors"
    ),
    "place_fd": lambda v: f"place {v['fd']} as file descriptor {v['number']}",
}
