"""The question whether the kernel runs SELinux: where it does not, a label is refused before anything is tried."""

TAKEN_OUT = (
    ("sandbox/security.py", "if process.selinux_label and not _content(root + SELINUX):", "if False:"),
)
