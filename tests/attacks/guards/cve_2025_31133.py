"""The host's null device, opened before the image is in view and looked at again: the mask is the image's /dev/null."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/cover.c",
        'error = slot_fd(slot) < 0 ? refused(DETAIL_EMPTY_SLOT, "") : check_null(slot_fd(slot));',
        """int null = path_open(root_fd(), "/dev/null", O_PATH);
        launcher.fds[name] = clone_tree(null, "", false);
        error = launcher.fds[name] < 0 ? launcher.fds[name] : 0;""",
    ),
)
