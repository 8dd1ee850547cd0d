"""The session of a container's own."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/namespaces.c",
        "    int session = answer(setsid());\n    return session < 0 ? session : 0;",
        "    return 0;",
    ),
)
