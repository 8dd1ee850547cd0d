"""The private procfs for what is written about the process itself: the container's /proc is taken."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/procfs.c",
        'fd = open_proc("self/oom_score_adj", O_WRONLY, true);\n    return fd < 0 ? fd : write_once',
        'fd = path_open(root_fd(), "/proc/self/oom_score_adj", O_WRONLY);\n    return fd < 0 ? fd : write_once',
    ),
)
