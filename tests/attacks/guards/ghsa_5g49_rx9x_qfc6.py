"""The looks at names that become files below /sys/fs/cgroup: cgroupsPath, `unified` (at two places), and `exec
--cgroup`."""

TAKEN_OUT = (
    (
        "specs/resource_rules.py",
        'if name in ("", ".", "..") or "/" in name or',
        'if name == "" or',
    ),
    ("sandbox/cgroup/limits_v2.py", 'if "/" in file or file in ("", ".", "..") or "\\0" in file:', 'if file == "":'),
    (
        "sandbox/cgroup/__init__.py",
        '        if part == "..":\n            if kept:\n                kept.pop()\n        elif part',
        "        if part",
    ),
    ("sandbox/cgroup/place.py", '    if ".." in parts:', "    if not parts:"),
)
