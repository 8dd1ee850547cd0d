"""The private procfs for labels of processes: they are written to the container's /proc."""

from .labels_unasked import TAKEN_OUT as UNASKED

TAKEN_OUT = (
    *UNASKED,
    ("sandbox/native/launcher/procfs.c", 'char path[64] = "self/attr/";', 'char path[64] = "/proc/self/attr/";'),
    (
        "sandbox/native/launcher/procfs.c",
        "int fd = open_proc(path, O_WRONLY, true);\n        /* ENOENT",
        "int fd = answer(open(path, O_WRONLY));\n        /* ENOENT",
    ),
)
