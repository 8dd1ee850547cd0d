"""An interpreter for the eBPF that device filters are made of, and bpf(2) for loading and attaching them."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

MASK = (1 << 64) - 1
NR_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PROG_LOAD, PROG_ATTACH = 5, 8
CGROUP_DEVICE_PROGRAM, CGROUP_DEVICE = 15, 6
libc = ctypes.CDLL(None, use_errno=True)


def run(program: bytes, kind: int, major: int, minor: int, access: int) -> int:
    """The program's answer for a device: kind 1 block, 2 character; access a mask of 1 mknod, 2 read, 4 write."""
    context = struct.pack("<III", access << 16 | kind, major, minor)
    registers = [0] * 11
    position = steps = 0
    while steps < 10000:
        steps += 1
        code, pair, offset, immediate = struct.unpack_from("<BBhi", program, position * 8)
        destination, source = pair & 15, pair >> 4
        value = immediate & MASK
        position += 1
        if code == 0x61:
            assert source == 1
            registers[destination] = struct.unpack_from("<I", context, offset)[0]
        elif code == 0xBF:
            registers[destination] = registers[source]
        elif code == 0xB7:
            registers[destination] = value
        elif code == 0x57:
            registers[destination] &= value
        elif code == 0x77:
            registers[destination] >>= value
        elif code == 0x95:
            return registers[0]
        elif (
            code == 0x05
            or (code == 0x15 and registers[destination] == value)
            or (code == 0x55 and registers[destination] != value)
            or (code == 0x45 and registers[destination] & value)
        ):
            position += offset
        else:
            assert code in (0x15, 0x55, 0x45), hex(code)
    raise AssertionError("the program does not end")


def bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = libc.syscall(NR_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def load(program: bytes) -> int:
    """A file descriptor of the loaded program; raises OSError with the verifier's words when the kernel refuses it."""
    code = ctypes.create_string_buffer(program, len(program))
    license = ctypes.create_string_buffer(b"Apache-2.0")
    log = ctypes.create_string_buffer(1 << 20)
    head = (CGROUP_DEVICE_PROGRAM, len(program) // 8, ctypes.addressof(code), ctypes.addressof(license))
    try:
        return bpf(PROG_LOAD, struct.pack("<IIQQ", *head))
    except OSError as error:
        number = error.errno
    try:
        os.close(bpf(PROG_LOAD, struct.pack("<IIQQIIQ", *head, 1, len(log), ctypes.addressof(log))))
    except OSError:
        pass
    raise OSError(number, log.value.decode())


def attach(cgroup: str, program: int) -> None:
    folder = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        bpf(PROG_ATTACH, struct.pack("<IIII", folder, program, CGROUP_DEVICE, 0))
    finally:
        os.close(folder)
