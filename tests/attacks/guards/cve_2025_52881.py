"""The private procfs for sysctls: they are written to below the container's /proc."""

TAKEN_OUT = (
    ("sandbox/native/launcher/procfs.c", 'char path[PATH_MAX] = "sys/";', 'char path[PATH_MAX] = "/proc/sys/";'),
    (
        "sandbox/native/launcher/procfs.c",
        "int fd = open_proc(path, O_WRONLY, links);",
        "int fd = links ? open_proc(path, O_WRONLY, links) : path_open(root_fd(), path, O_WRONLY);",
    ),
)
