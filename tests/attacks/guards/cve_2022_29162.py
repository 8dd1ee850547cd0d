"""`exec --cap` gives no inheritable capabilities."""

TAKEN_OUT = (
    (
        "pyrunc/execute.py",
        "    sets.permitted += given\n",
        "    sets.permitted += given\n    sets.inheritable += given\n",
    ),
)
