"""The rule that /proc has to be an ordinary folder, in the compiler."""

TAKEN_OUT = (("sandbox/compile/mounts.py", 'return "ordinary_folder"', 'return ""'),)
