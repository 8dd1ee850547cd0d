"""The mode of a container's folder."""

TAKEN_OUT = (
    (
        "pyrunc/store.py",
        "            try:\n                posix.mkdir(path, 0o700)",
        "            try:\n                posix.mkdir(path, 0o777)",
    ),
)
