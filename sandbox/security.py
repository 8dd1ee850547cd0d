"""Which security modules this kernel runs, asked only for a document that names one. Reads only.

Must not be asked by compilers: a plan is made on one machine for any other.
"""

from __future__ import annotations

import posix

from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.specs.runtime import Process

APPARMOR = "/sys/module/apparmor/parameters/enabled"
SELINUX = "/sys/fs/selinux/enforce"
UNCONFINED = "unconfined"


def check_security(process: Process, root: str = "") -> None:
    """Raises Failure where the process asks for a module that does not run. Without AppArmor everything is unconfined,
    so this one profile is given up then. `root` is where /sys lies, for tests."""
    profile = process.apparmor_profile
    if profile and not _content(root + APPARMOR).startswith(b"Y"):
        if profile != UNCONFINED:
            raise Failure(
                f"apply AppArmor profile {profile}", "process.apparmorProfile",
                detail="apparmor: config provided but apparmor not supported",
                hint="this kernel runs no AppArmor: leave the profile out, or name unconfined",
            )  # fmt: skip
        process.apparmor_profile = ""
    if process.selinux_label and not _content(root + SELINUX):
        raise Failure(
            f"apply SELinux label {process.selinux_label}", "process.selinuxLabel",
            detail="selinux label is specified in config, but selinux is disabled or not supported",
            hint="leave the label out, or see to it that selinuxfs is mounted on /sys/fs/selinux",
        )  # fmt: skip


def _content(path: str) -> bytes:
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return posix.read(fd, 64)
    finally:
        posix.close(fd)
