"""setgroups(2): whoever starts the command has groups."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/process.c",
        "    return answer(syscall(SYS_setgroups, list->count, groups));",
        "    return 0;",
    ),
)
