"""Both lines of the rule that /proc and /sys have to be ordinary folders: without the first the second is not asked."""

TAKEN_OUT = (("sandbox/compile/mounts.py", 'if target in ("/proc", "/sys"):', "if not target:"),)
