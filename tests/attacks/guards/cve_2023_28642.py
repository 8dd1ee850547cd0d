"""The launcher's way to an ordinary folder: links are followed."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/attach.c",
        "int target = path_open_nolinks(root_fd(), path, O_PATH | O_DIRECTORY);\n    if (target == -ENOENT)",
        "int target = path_open(root_fd(), path, O_PATH | O_DIRECTORY);\n    if (target == -ENOENT)",
    ),
)
