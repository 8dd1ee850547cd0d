"""An interpreter for classic BPF over seccomp data, and a process that lives under a filter."""

from __future__ import annotations

import struct
import subprocess
import sys

ARCHES = {"x86_64": 0xC000003E, "x86": 0x40000003, "x32": 0xC000003E, "aarch64": 0xC00000B7, "arm": 0x40000028}
X32_BIT = 0x40000000
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, NOTIFY, TRACE, LOG, ALLOW = (
    0x80000000, 0, 0x30000, 0x50000, 0x7FC00000, 0x7FF00000, 0x7FFC0000, 0x7FFF0000,
)  # fmt: skip


def run(program: bytes, arch: int, number: int, args: tuple[int, ...] = ()) -> int:
    """The action for a system call, as the kernel computes it."""
    padded = (*args, *[0] * (6 - len(args)))
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *padded)
    accumulator = 0
    memory = [0] * 16
    position = 0
    while True:
        code, yes, no, k = struct.unpack_from("<HBBI", program, position * 8)
        position += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x54:
            accumulator &= k
        elif code == 0x02:
            memory[k] = accumulator
        elif code == 0x60:
            accumulator = memory[k]
        elif code == 0x06:
            return int(k)
        elif code == 0x05:
            position += k
        else:
            test = {
                0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k, 0x45: bool(accumulator & k),
            }[code]  # fmt: skip
            position += yes if test else no


INSTALL = """
import ctypes, os, sys
flags, program = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
code = ctypes.create_string_buffer(program, len(program))
prog = Program(len(program) // 8, ctypes.addressof(code))
number = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
def call(number, *args):
    result = libc.syscall(number, *[ctypes.c_long(a) for a in args])
    return -ctypes.get_errno() if result < 0 else result
assert libc.prctl(38, 1, 0, 0, 0) == 0
result = libc.syscall(number, 1, flags, ctypes.byref(prog))
print("installed" if result == 0 else f"refused {ctypes.get_errno()}", flush=True)
"""


def under(flags: int, program: bytes, script: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process that put itself under the filter; `call(number, ...)` makes raw system calls."""
    command = [sys.executable, "-I", "-S", "-c", INSTALL + script, str(flags), program.hex()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
