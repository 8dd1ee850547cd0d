"""The look at what comes on /proc and below it: at the document's types and targets, and at what a bind's source is."""

TAKEN_OUT = (
    ("sandbox/compile/mounts.py", 'if target == "/proc" and kind != "proc":', "if not kind:"),
    ("sandbox/compile/mounts.py", 'if target.startswith("/proc/") and target not in PROC_ALLOWED:', "if not target:"),
    ("sandbox/compile/mounts.py", '    if target == "/proc":\n        tolerate += " procfs_only"\n', ""),
)
