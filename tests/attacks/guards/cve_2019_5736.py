"""Two lines: the sealed memfd that the launcher runs from (it is started from its file instead), and that it is
undumpable, so that nobody inside can even look at its program."""

TAKEN_OUT = (
    (
        "sandbox/launcher.py",
        'posix.posix_spawn(f"/proc/self/fd/{launcher_fd()}"',
        'posix.posix_spawn(native_program("launcher")',
    ),
    (
        "sandbox/native/launcher/namespaces.c",
        "return answer(prctl(PR_SET_DUMPABLE, 0));",
        "return 0;",
    ),
)
