"""/dev/console as the terminal's own handle: it is found by its name below /dev/pts."""

TAKEN_OUT = (
    (
        "sandbox/native/launcher/console.c",
        '    int tree = clone_tree(slave, "", false);\n',
        """    (void)slave;
    int named = path_open(root_fd(), "/dev/pts/0", O_PATH);
    int tree = clone_tree(named, "", false);
""",
    ),
)
