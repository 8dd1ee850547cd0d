"""All of it: the working folder is gone to by its path, nobody looks where that is, and inherited descriptors stay
open.

Each alone would be enough against one of the two ways, so both ways lose all of theirs: the folder is resolved
without magic links, made before, and looked at after; descriptors are closed at once and again before exec.
"""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/process.c",
        "    int folder = path_make_folders(root_fd(), operation->texts[CHDIR_PATH].bytes, 0755);\n",
        "    int folder = answer(open(operation->texts[CHDIR_PATH].bytes, O_PATH | O_DIRECTORY | O_CLOEXEC));\n",
    ),
    ("sandbox/native/launcher/process.c", "return error ? error : check_cwd();", "(void)check_cwd; return error;"),
    (
        "sandbox/native/launcher/main.c",
        "int error = sys_close_range(CONTROL_FD + 1, ~0U, 0);",
        "int error = 0;",
    ),
    (
        "sandbox/native/launcher/fds.c",
        "    error = sys_close_range((unsigned)end, ~0U, CLOSE_RANGE_CLOEXEC_FLAG);\n",
        "",
    ),
    ("sandbox/compile/filesystem.py", '    if cwd != "/":', '    if cwd == "":'),
)
