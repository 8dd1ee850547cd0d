"""The words of linux.seccomp, and the kernel's and libseccomp's numbers for them. Tables only; a cached filter needs
none of them.

Architectures need none: libseccomp knows SCMP_ARCH_X86_64 as x86_64.
"""

from __future__ import annotations

# SECCOMP_RET_*, linux/seccomp.h. ERRNO and TRACE carry a number in the lower half.
ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
WITH_NUMBER = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")

# enum scmp_compare, seccomp.h.
OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}

# SECCOMP_FILTER_FLAG_*, for seccomp(2).
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # init has one thread; and a listener's number could not be told from a thread's
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
}
# Set when the document leaves the choice to us, as runc does: a container's system calls run at full speed, and a
# program that needs the protection against speculation asks for it by prctl(2). Linux 4.17, older than all we run on.
DEFAULT_FLAGS = FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]

NEW_LISTENER = 8

# Actions by which a system call that the filter does not know reaches the kernel or a tracer, who answers ENOSYS.
PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")

# Names of `uname -m` and libseccomp's.
MACHINES = {"x86_64": "x86_64", "aarch64": "aarch64"}

EPERM = 1
ENOSYS = 38
