"""Learns which system calls the processes of a cgroup make: a BPF program on the kernel's tracepoint `sys_enter`, which
sets a bit for each number.

Why this way: it counts in the kernel, so that no call of any thread is lost however many there are, and changes nothing
for the processes (some 50 ns a call). Notifications and ptrace stop every call until somebody answers, which breaks
programs that measure time; SECCOMP_RET_LOG and perf's buffers lose records under load. It takes root (CAP_BPF,
CAP_PERFMON) and a cgroup2 mount. Off every hot path; must not start or stop a process.
"""

from __future__ import annotations

import ctypes
import os
import struct

from pyrunc.specs.errors import Failure

BPF_NUMBERS = {"x86_64": 321, "aarch64": 280}
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, PROG_LOAD, RAW_TRACEPOINT_OPEN = 0, 1, 2, 5, 17
ARRAY, CGROUP_ARRAY, RAW_TRACEPOINT = 2, 8, 17
UNDER_CGROUP, LOOKUP, PROBE_READ_KERNEL = 37, 1, 113  # helpers
# Where in pt_regs stands whether a process is one of 32 bits, and how to see it: (offset, mask, value when it is).
COMPAT = {"x86_64": (136, 0xFFFF, 0x23), "aarch64": (264, 0x10, 0x10)}  # cs; pstate
NUMBERS = 1024  # system calls of one architecture; those of 32 bits come behind


class Recorder:
    """Watches from the moment it is made until `close`, or until this process ends."""

    def __init__(self, cgroup: str) -> None:
        """`cgroup` is a folder of cgroup v2; cgroups below it count as well. Raises Failure."""
        machine = os.uname().machine
        if machine not in BPF_NUMBERS:
            raise Failure("record system calls", detail=f"not supported on {machine}")
        self._number = BPF_NUMBERS[machine]
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fds: list[int] = []
        try:
            groups = self._bpf("make a BPF map", MAP_CREATE, struct.pack("<IIII", CGROUP_ARRAY, 4, 4, 1))
            self._calls = self._bpf("make a BPF map", MAP_CREATE, struct.pack("<IIII", ARRAY, 4, 8, 2 * NUMBERS))
            folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._update(groups, 0, folder)
            finally:
                os.close(folder)
            code = program(groups, self._calls, *COMPAT[machine])
            self._bpf("watch system calls", RAW_TRACEPOINT_OPEN, b"sys_enter\0", self._load(code), keep=True)
        except OSError as error:
            self.close()
            raise Failure(f"record the system calls of {cgroup}", number=error.errno or 0) from None
        except BaseException:
            self.close()
            raise

    def calls(self) -> tuple[list[int], list[int]]:
        """Numbers of the calls made so far: the machine's own, and those of its 32-bit programs."""
        found: tuple[list[int], list[int]] = ([], [])
        value = ctypes.c_uint64()
        for index in range(2 * NUMBERS):
            key = ctypes.c_uint32(index)
            attributes = struct.pack("<IxxxxQQQ", self._calls, ctypes.addressof(key), ctypes.addressof(value), 0)
            self._bpf("read a BPF map", MAP_LOOKUP, attributes, keep=False)
            if value.value:
                found[index >= NUMBERS].append(index % NUMBERS)
        return found

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def _update(self, array: int, index: int, fd: int) -> None:
        key, value = ctypes.c_uint32(index), ctypes.c_uint32(fd)
        attributes = struct.pack("<IxxxxQQQ", array, ctypes.addressof(key), ctypes.addressof(value), 0)
        self._bpf("watch a cgroup", MAP_UPDATE, attributes, keep=False)

    def _load(self, code: bytes) -> int:
        text, license = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
        attributes = struct.pack(
            "<IIQQ", RAW_TRACEPOINT, len(code) // 8, ctypes.addressof(text), ctypes.addressof(license)
        )
        return self._bpf("load a BPF program", PROG_LOAD, attributes)

    def _bpf(self, what: str, command: int, attributes: bytes, program: int = -1, keep: bool = True) -> int:
        """One bpf(2). `attributes` as in union bpf_attr, but for RAW_TRACEPOINT_OPEN, which gets a name and a
        program."""
        name = ctypes.create_string_buffer(attributes)
        if program >= 0:
            attributes = struct.pack("<QI", ctypes.addressof(name), program)
        block = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
        result = int(self._libc.syscall(self._number, command, block, 128))
        if result < 0:
            raise Failure(
                what, number=ctypes.get_errno(), hint="recording takes root of the machine, and a kernel with BPF"
            )
        if keep:
            self._fds.append(result)
        return result


def program(groups: int, calls: int, offset: int, mask: int, value: int) -> bytes:
    """For the context of `sys_enter`: (pt_regs, number of the call)."""

    def step(code: int, to: int = 0, of: int = 0, jump: int = 0, number: int = 0) -> bytes:
        return struct.pack("<BBhi", code, of << 4 | to, jump, number)

    def load_map(register: int, fd: int) -> bytes:
        return step(0x18, register, 1, 0, fd) + step(0)

    end = step(0xB7, 0) + step(0x95)  # r0 = 0; exit
    code = [
        step(0xBF, 6, 1),                                   # r6 = context
        load_map(1, groups), step(0xB7, 2), step(0x85, number=UNDER_CGROUP),
        step(0x15, 0, jump=2, number=1), end,               # not ours
        step(0x79, 7, 6, 8),                                # r7 = number of the call
        step(0xB7, 1, number=NUMBERS), step(0x2D, 1, 7, 2), end,   # none that we know
        step(0x79, 3, 6, 0), step(0x07, 3, number=offset),  # r3 = &pt_regs->...
        step(0xBF, 1, 10), step(0x07, 1, number=-16), step(0xB7, 2, number=8), step(0x85, number=PROBE_READ_KERNEL),
        step(0x79, 1, 10, -16), step(0x57, 1, number=mask),
        step(0x55, 1, jump=1, number=value), step(0x07, 7, number=NUMBERS),
        step(0x63, 10, 7, -4),                              # key = r7
        load_map(1, calls), step(0xBF, 2, 10), step(0x07, 2, number=-4), step(0x85, number=LOOKUP),
        step(0x15, 0, jump=1), step(0x7A, 0, number=1),     # *value = 1
        end,
    ]  # fmt: skip
    return b"".join(code)
