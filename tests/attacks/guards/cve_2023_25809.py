"""The read-only flag of the mounts that show the container its cgroups."""

TAKEN_OUT = (
    (
        "sandbox/compile/cgroup_mount.py",
        '    private = bool(flags & CLONE_FLAGS["cgroup"])\n',
        '    private = bool(flags & CLONE_FLAGS["cgroup"])\n    options.set &= ~RDONLY\n',
    ),
)
