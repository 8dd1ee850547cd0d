"""Both rules of the walk by which paths are resolved where openat2 is missing: ".." is found from the root by name,
and an absolute link starts at the root."""

TAKEN_OUT = (
    (
        "sandbox/native/path.c",
        "    int fd = walk->root;\n    char *name = walk->done;\n",
        '    int fd = openat(walk->here, "..", HANDLE);\n    char *name = "";\n',
    ),
    (
        "sandbox/native/path.c",
        "        walk->done[0] = '\\0';\n        step_to(walk, walk->root);\n",
        "        walk->done[0] = '\\0';\n        step_to(walk, open(\"/\", HANDLE));\n",
    ),
)
