"""`pyrunc image ...`: one file a command, as in the folder above; NAMES is the list of them."""

NAMES = ("copy", "gc", "inspect", "ls", "pull", "push", "repack", "rm", "tag", "unpack")
