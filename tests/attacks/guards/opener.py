"""That init is undumpable: by our word, and by the kernel's when its ids change."""

from .cve_2016_9962 import TAKEN_OUT as OUR_WORD

TAKEN_OUT = (
    *OUR_WORD,
    (
        "sandbox/native/launcher/namespaces.c",
        "return error ? error : answer(syscall(SYS_setresuid, 0, 0, 0));",
        "error = error ? error : answer(syscall(SYS_setresuid, 0, 0, 0));\n"
        "    return error ? error : answer(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));",
    ),
)
