"""The vocabulary of plans: every operation there is, its fields, and the order of phases.

This table is the one source of truth: `wire.py` encodes by it, `native/operations.h` is generated from it
(`python sandbox/native/generate.py > sandbox/native/operations.h`; a test checks freshness), `describe.py` prints by it.
It must hold no policy and import nothing: it is read on every start of a container.

A field is `kind:name`. Kinds:
    u  number, 64 bit, negative values as two's complement      s  text without NUL
    i  fd slot that is read (must have been written before)     b  bytes
    o  fd slot that is written                                  l  list of texts
                                                                p  properties of a systemd unit (host only)
Numbers and slots travel first, then texts, lists and bytes, each group in the order of this table.
"""

# fmt: off
# Phases, in the only order in which a plan may use them (rule 3 of docs/architecture.md).
PHASES = ("join", "spawn", "identity", "isolate", "mounts", "hooks", "rootfs", "process", "user", "start", "seal", "exec")

# Named tolerances: what only run time can know. A bit each, shown in the printed plan.
TOLERANCES = {
    "missing_ok": 1,        # the object may be absent (ENOENT, ENOTDIR): nothing is done then
    "exists_ok": 2,         # the object may be there already, if it is what was asked for
    "later_ok": 4,          # join: EPERM here is retried by the `join_late` of the same slot
    "denied_ok": 8,         # EPERM or EACCES is passed over; a later operation tries again or it does not matter
    "if_denied": 16,        # acts only if the earlier operation of this kind was denied
    "inherit_mode": 32,     # mount: a tmpfs takes the mode of the folder that it covers
    "ordinary_folder": 64,  # mount, bind: the target must be a folder reached by no symbolic link (/proc, /sys)
    "procfs_only": 512,     # bind: the source must be a whole procfs (/proc)
    "source_link": 1024,    # bind: a source that is a symbolic link is bound itself
    "target_link": 2048,    # bind: so is a target covered itself
    "copy_link": 4096,      # bind: a source that is a symbolic link is made anew at the target
    "keep_env": 128,        # hook: the process's environment, not an empty one
    "unsupported_ok": 256,  # ENOSYS, EINVAL or EOPNOTSUPP is passed over
}

# Rendezvous: the init list sends SYNC and waits, the host list answers. Names are shown, numbers travel.
RENDEZVOUS = ("idmaps", "cgroup", "network", "hooks", "console", "ready", "listener")

# name: (code, phase, fields). Codes are stable within one wire version only.
OPERATIONS = {
    # -- the launcher itself, before there is an init ------------------------------------------------------------
    "undumpable": (1, "join", ""),                                  # PR_SET_DUMPABLE 0: nobody inside looks into us
    "raise_rlimit": (2, "join", "u:resource u:soft u:hard"),        # only ever raises; `rlimit` sets the final value
    "attach_devices": (3, "join", "i:cgroup b:program"),            # BPF_PROG_TYPE_CGROUP_DEVICE, replaces ours
    "join": (4, None, "i:namespace u:flags"),                       # setns on a namespace fd or a pidfd
    "join_late": (5, None, "i:namespace u:flags"),                  # only if the `join` of that slot was put off
    "opener": (6, "join", ""),                                      # stays, to open the sources of binds with its rights
    "spawn": (8, "spawn", "u:flags i:cgroup"),                      # clone3; cgroup slot -1: none. init goes on from here
    # -- init, still on the host's file system -------------------------------------------------------------------
    "sync": (9, None, "u:rendezvous i:send"),                       # send slot -1: no fd goes along
    "cpu_affinity": (62, None, "b:mask"),                           # an empty mask: all CPUs, of which its cpuset leaves some
    "time_namespace": (66, "identity", "s:offsets"),                # made, given its offsets and entered
    "become_root": (10, "identity", ""),                            # setresgid 0, setresuid 0 in the new user namespace
    "new_session": (11, "identity", ""),                            # setsid
    "unshare_cgroup": (12, None, ""),                                # once init is in its cgroup; as late as mounts allow
    "security_attribute": (65, None, "l:files s:value"),            # the first of them that is in /proc/self/attr
    "session_keyring": (13, "isolate", "s:name"),
    "loopback_up": (14, "isolate", ""),
    "hostname": (15, "isolate", "s:name"),
    "domainname": (16, "isolate", "s:name"),
    "open_null": (17, "isolate", "o:null"),                         # host's /dev/null, checked to be 1:3
    "propagate_root": (18, "isolate", "u:flags"),                   # MS_SLAVE|MS_REC ... on /
    "open_root": (19, "mounts", "u:mount s:path"),                  # mount: rootfs bound on itself, private
    # layers (the uppermost first; a file is an EROFS image) below `upper`, stacked on the root, which that is from here on
    "stack_root": (71, "mounts", "u:attr l:layers s:upper s:work l:options"),
    "mount": (20, "mounts", "o:mount u:attr u:propagation s:target s:type s:source l:options"),
    "mount_legacy": (21, "mounts", "u:flags u:propagation s:target s:type s:source s:data"),
    # id_map: slot of a user namespace. drop: flags cleared without being named, unless the kernel has locked them
    "bind": (22, "mounts", "o:mount i:id_map u:map_all u:recursive u:set u:clear u:drop u:rec_set u:rec_clear"
             " u:propagation s:target s:source"),
    "remount": (23, "mounts", "u:set u:clear u:propagation s:target l:options"),
    "set_attr": (24, None, "i:mount u:set u:clear u:recursive"),    # on a mount that an earlier operation made
    "mkdir": (25, "mounts", "u:mode s:path"),
    "mknod": (26, "mounts", "u:mode u:major u:minor u:uid u:gid s:path"),   # mode with S_IFMT
    "bind_device": (27, "mounts", "u:mode u:major u:minor s:path s:source"),  # user namespaces: the host's node, checked
    "symlink": (28, "mounts", "s:path s:target"),
    "hook": (29, None, "u:timeout_ms s:path l:args l:env b:state_head b:state_tail"),  # stdin: head, own pid, tail
    "hook_output": (86, None, "i:stdout i:stderr"),                 # for the hooks after it; slot -1: kept for an error
    # -- init, from the pivot on -----------------------------------------------------------------------------------
    "pivot_root": (30, "rootfs", ""),
    "move_root": (31, "rootfs", ""),                                # --no-pivot
    "chroot": (32, "rootfs", ""),                                   # no mount namespace
    "open_console": (33, "rootfs", "o:master u:rows u:columns u:uid u:gid u:mount"),  # pty of the container's own devpts
    "use_console": (34, "rootfs", ""),                              # controlling terminal and stdio
    "fresh_null": (35, "rootfs", ""),                               # stdio that is the host's /dev/null becomes ours
    "sysctl": (36, "rootfs", "s:key s:value"),                      # key with slashes, below the private /proc/sys
    "empty_folder": (67, "rootfs", "l:options"),                    # what `mask` covers folders with; plain unless made here
    "mask": (37, "rootfs", "i:null s:path"),
    "readonly": (38, "rootfs", "s:path"),
    "root_attr": (39, "rootfs", "u:set u:propagation"),
    # -- the process ----------------------------------------------------------------------------------------------
    "oom_score_adj": (40, "process", "u:value"),
    "rlimit": (41, "process", "u:resource u:soft u:hard"),
    "umask": (42, "process", "u:mask"),
    "chown_stdio": (43, "process", "u:uid u:gid"),
    "chdir": (44, None, "s:path"),                                  # made when missing; getcwd is checked after
    "scheduler": (60, "process", "u:policy u:flags u:nice u:priority u:runtime u:deadline u:period"),
    "io_priority": (61, "process", "u:value"),                      # class and level, as ioprio_set(2) packs them
    "personality": (63, "process", "u:value"),
    "memory_policy": (64, "process", "u:mode b:nodes"),             # mode with its flags
    "bounding": (45, "user", "u:mask"),                             # what stays
    # groups as decimal texts; set_groups 2: none, if a joined user namespace lets go of the caller's; keeps capabilities
    "user": (46, "user", "u:uid u:gid u:set_groups l:groups"),
    "capabilities": (47, None, "u:effective u:permitted u:inheritable"),
    "ambient": (48, None, "u:mask"),
    "no_new_privileges": (49, None, ""),
    "home": (50, "user", "u:uid"),                                  # HOME from the container's passwd, when unset
    "find_program": (51, "user", "s:name s:path"),                  # argv[0] by PATH; the result is what exec runs
    "dumpable": (87, "start", ""),                                  # again, after a change of ids: who made us may look
    "wait_start": (52, "start", "i:listener"),
    "seccomp": (53, None, "u:flags b:filter"),
    "keep_fds": (54, "start", "u:count"),                           # 3..3+count stay; all above become CLOEXEC
    "place_fd": (55, "start", "i:fd u:number"),
    "open_folder": (57, "mounts", "o:folder s:path"),               # tmpcopyup: before the mount covers it
    "copy_up": (58, "mounts", "i:folder i:mount"),                  # its content into that mount; nothing when there is none
    "label_mount": (68, "mounts", "i:mount s:label"),               # SELinux label of its root, for types without `context`
    "dismiss_opener": (70, "mounts", ""),
    "rebind_root": (82, "mounts", "s:source s:target"),             # drops what open_root made, with all mounts in it
    "exec": (56, "exec", "l:args l:env"),
}

# What Python does on the host, in this order around the launcher. Never encoded; shown by `pyrunc plan`, carried out by launch.py.
HOST_OPERATIONS = {
    "record": "",                           # the state record, before the first effect on the host
    "make_cgroup": "s:path",
    "start_unit": "s:manager s:unit u:empty l:folders p:properties",  # by systemd, with the launcher in it unless `empty`
    "change_unit": "s:manager s:unit p:properties",
    "enter_unit": "s:manager s:unit s:below",       # the launcher
    "enable_controllers": "s:path s:controllers",   # cgroup.subtree_control, what is not enabled yet
    "inherit_cpuset": "s:path s:file",              # cgroup v1: takes the parent's value when empty
    "write": "s:path s:value",
    "write_either": "s:path s:value s:other s:other_value",     # the second where the first file does not exist
    "delegate": "u:uid u:gid s:path",       # cgroup v2: this user may make cgroups below, and move processes there
    "open_cgroup": "o:cgroup s:path",
    "open_namespace": "o:namespace u:flag s:path",  # checked to be of that type
    "map_namespace": "o:namespace s:uids s:gids",   # a user namespace with these maps, for id-mapped mounts
    "open_process": "o:process u:pid",      # pidfd of a container's init
    "make_resctrl": "s:path s:rule s:schemata",     # rule: own, shared or preset, see resctrl.py
    "enter_resctrl": "l:paths",             # init, before it may execute anything
    "listen": "o:listener",                 # start.sock
    "inherit": "o:fd u:number",             # a caller's fd that the container gets
    "append_to": "o:file s:path",           # made when missing
    "launch": "",                           # plan and slots to the launcher; pid of init comes back
    "record_pid": "",
    "id_maps": "u:deny_setgroups s:uids s:gids",
    "enter_cgroups": "l:paths",
    "network": "s:source s:name",           # linux.netDevices
    "hooks": "s:kind",
    "criu": "o:link",                       # restore: criu's end of the conversation with it
    "console": "",                          # the master arrives with the rendezvous and is handed on
    "listener": "",                         # the seccomp listener is fetched from init and handed on
    "await": "u:rendezvous",
    "answer": "u:rendezvous",
}

NUMBERS = "uio"


def fields(name: str) -> list[tuple[str, str]]:
    """[(kind, field name), ...] of an operation, numbers first, in wire order."""
    declared = OPERATIONS[name][2] if name in OPERATIONS else HOST_OPERATIONS[name]
    pairs = [(item[0], item[2:]) for item in declared.split()]
    return [p for p in pairs if p[0] in NUMBERS] + [p for p in pairs if p[0] not in NUMBERS]
