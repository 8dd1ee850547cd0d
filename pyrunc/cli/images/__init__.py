"""`pyrunc image ...`: one file a command, as in the folder above; NAMES is the list of them."""

NAMES = (
    "config",
    "copy",
    "diff",
    "gc",
    "history",
    "import",
    "init",
    "insert",
    "inspect",
    "ls",
    "mount",
    "new",
    "pull",
    "push",
    "referrers",
    "repack",
    "rm",
    "tag",
    "umount",
    "unpack",
)
