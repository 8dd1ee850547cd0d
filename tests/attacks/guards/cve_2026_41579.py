"""Resolving inside the root: paths of the container are resolved below the handle of the root, but links lead
anywhere."""

TAKEN_OUT = (
    (
        "sandbox/native/path.c",
        ".resolve = IN_ROOT | NO_MAGICLINKS | resolve};",
        """.resolve = NO_MAGICLINKS | resolve};
    while (*path == '/')
        path++;
    if (!*path)
        path = ".";""",
    ),
    ("sandbox/native/path.c", "    if (path[0] == '\\0')\n        path = \"/\";\n", ""),
)
