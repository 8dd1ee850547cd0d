"""PR_SET_DUMPABLE 0 of a process on its way into a container."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/namespaces.c",
        "return answer(prctl(PR_SET_DUMPABLE, 0));",
        "return 0;",
    ),
)
