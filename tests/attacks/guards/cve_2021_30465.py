"""Mounting on a handle, and the look at where the mount came to lie: the mount goes to the path, whatever that is
by then."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/attach.c",
        "    int error = sys_move_mount(mount, target);\n    close(target);\n"
        "    if (error) /* what cannot be mounted there cannot be mounted there */\n        return error;\n"
        "    error = check_reached(mount, path);\n",
        """    char whole[8192] = {0};
    char link[64] = "/proc/self/fd/";
    write_decimal(link + 14, root_fd());
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, whole, 4096);
    for (long at = 0; path[at]; at++)
        whole[length + at] = path[at];
    int error = answer(syscall(SYS_move_mount, mount, "", AT_FDCWD, whole, MOVE_MOUNT_F_EMPTY_PATH | 0x10));
    close(target);
    return error;
""",
    ),
)
