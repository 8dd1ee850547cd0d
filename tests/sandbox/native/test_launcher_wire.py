"""Plans that are wrong in any way end in a FAIL, or in silence with status 1; never in a crash or half a container.

Everything here runs the build that checks each access: a byte read beyond the plan would show as an ASan report.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyrunc.sandbox import protocol
from pyrunc.sandbox.operations import OPERATIONS, fields
from pyrunc.sandbox.plan import op
from pyrunc.sandbox.wire import encode
from tests.sandbox.native.harness import HEAD, NEWNS, PROC, Result, Talk, container, shell

# A plan that does nothing to the system: limits that exist already, and nothing to run.
HARMLESS = [
    op("raise_rlimit", "", 7, 1, 1),
    op("open_folder", "", "tree", "/no/such", tolerate="missing_ok"),
    op("find_program", "", "/bin/true", ""),
    op("exec", "", ["/bin/true", "x"], ["A=b"]),
]


def harmless() -> bytes:
    return encode(HARMLESS, ["tree"])


def is_sane(result: Result) -> None:
    """The launcher understood, or said FAIL, or left; and no sanitizer had anything to say."""
    assert "Sanitizer" not in result.output and "runtime error" not in result.output, result.output
    assert result.status in (0, 1), result
    if result.status == 1:
        assert result.failure is not None


def test_the_harmless_plan_is_carried_out(sanitized: Path) -> None:
    """The plan that the other tests break is whole."""
    assert Talk(sanitized, harmless()).end() == Result(0, "", [])


def test_every_byte_flipped(launcher: Path) -> None:
    """No single byte of a plan can be changed into a crash: 0, 255 and each flipped bit half."""
    plan = harmless()
    for at in range(len(plan)):
        for value in {0, 255, plan[at] ^ 1, plan[at] ^ 0x80} - {plan[at]}:
            broken = plan[:at] + bytes([value]) + plan[at + 1 :]
            result = Talk(launcher, broken, apart=True).end()
            assert result.status in (0, 1), (at, value, result)


def test_some_bytes_flipped_under_the_sanitizer(sanitized: Path) -> None:
    """The header and every field's first byte, with each access checked."""
    plan = harmless()
    for at in [*range(32), *range(32, len(plan), 4)]:
        is_sane(Talk(sanitized, plan[:at] + bytes([plan[at] ^ 0xFF]) + plan[at + 1 :], apart=True).end())


def test_every_truncation(launcher: Path) -> None:
    """A plan that ends early is malformed, whatever length it claims."""
    plan = harmless()
    for length in range(len(plan)):
        for claimed in (length, len(plan)):
            result = Talk(launcher, plan[:length], claimed=claimed).end()
            assert result.failure is not None
            assert (result.failure.a, result.failure.detail) == (0, protocol.DETAIL_MALFORMED_PLAN), (length, result)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_operations(sanitized: Path, data: st.DataObject) -> None:
    """Any bytes behind a good header are refused or harmless."""
    body = data.draw(st.binary(max_size=200))
    count = data.draw(st.integers(0, 5))
    header = struct.pack("<8sIIIIQ", b"PYRUNCPL", 1, count, data.draw(st.integers(0, 4)), 32 + len(body), 0)

    is_sane(Talk(sanitized, header + body, apart=True).end())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_texts(sanitized: Path, data: st.DataObject) -> None:
    """Lengths and counts of texts that do not agree with their bytes are refused before anything is done."""
    content = data.draw(st.binary(max_size=40))
    length = data.draw(st.one_of(st.just(len(content)), st.integers(0, 2**32 - 1)))
    count = data.draw(st.one_of(st.just(content.count(0)), st.integers(0, 2**32 - 1)))
    text = struct.pack("<II", length, count) + content + bytes(-len(content) % 8)
    code = OPERATIONS["exec"][0]
    body = struct.pack("<HBBBBH", code, 11, 0, 2, 0, 0) + text + struct.pack("<II", 0, 0)
    header = struct.pack("<8sIIIIQ", b"PYRUNCPL", 1, 1, 0, 32 + len(body), 0)

    result = Talk(sanitized, header + body).end()

    is_sane(result)
    assert result.failure is not None  # no text here is a program
    well_formed = length == len(content) and count == content.count(0) and (not content or content[-1] == 0)
    if not well_formed:
        assert result.failure.detail == protocol.DETAIL_MALFORMED_PLAN


@pytest.mark.parametrize("slots, index", [([], 0), (["a"], None)])
def test_slot_is_written_before_it_is_read(launcher: Path, slots: list[str], index: int | None) -> None:
    """Reading a slot that nobody filled is a malformed plan; one that the host filled is fine."""
    fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
    plan = encode([op("join", "", "a", 0x04000000, phase="join")], ["a"])
    failure = Talk(launcher, plan, dict.fromkeys(slots, fd)).end().failure
    os.close(fd)

    assert (failure.at if failure else None) == index
    assert failure is None or failure.detail == protocol.DETAIL_MALFORMED_PLAN


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_wrong_shapes_are_refused(launcher: Path, name: str) -> None:
    """Each operation with one number or text too many, in a wrong phase, or with an unknown tolerance is malformed."""
    code, phase, _ = OPERATIONS[name]
    kinds = [kind for kind, _ in fields(name)]
    numbers = [2**64 - 1] * sum(kind in "uio" for kind in kinds)
    texts = [
        struct.pack("<II", 8, 1) + b"textabc\0" if kind == "s" else struct.pack("<II", 0, 0)
        for kind in kinds
        if kind in "sbl"
    ]
    more = struct.pack("<II", 0, 0)
    for extra_numbers, extra_texts, place, bits in ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 12, 0), (0, 0, 0, 0x8000)):
        if place == 0 and phase:
            place = (
                "join",
                "spawn",
                "identity",
                "isolate",
                "mounts",
                "hooks",
                "rootfs",
                "process",
                "user",
                "start",
                "seal",
                "exec",
            ).index(phase)
        head = struct.pack("<HBBBBH", code, place, len(numbers) + extra_numbers, len(texts) + extra_texts, 0, bits)
        body = (
            head
            + struct.pack(f"<{len(numbers) + extra_numbers}Q", *numbers, *[0] * extra_numbers)
            + b"".join(texts)
            + more * extra_texts
        )
        plan = struct.pack("<8sIIIIQ", b"PYRUNCPL", 1, 1, 0, 32 + len(body), 0) + body
        result = Talk(launcher, plan).end()
        assert result.failure is not None
        assert (result.failure.at, result.failure.detail) == (0, protocol.DETAIL_MALFORMED_PLAN)


def test_phases_do_not_go_backwards(launcher: Path) -> None:
    """The launcher itself keeps the order of phases."""
    plan = encode([op("find_program", "", "/bin/true", ""), op("raise_rlimit", "", 7, 1, 1)], [])
    failure = Talk(launcher, plan).end().failure

    assert failure is not None
    assert (failure.at, failure.detail) == (1, protocol.DETAIL_MALFORMED_PLAN)


def test_nothing_follows_exec(launcher: Path) -> None:
    """An operation that could never be reached is a mistake in the plan."""
    last = op("exec", "", ["/bin/true"], [])
    failure = Talk(launcher, encode([last, last], [])).end().failure

    assert failure is not None
    assert failure.at == 1


def test_nothing_is_done_when_the_end_is_malformed(launcher: Path) -> None:
    """The whole plan is checked before its first operation."""
    plan = encode([op("spawn", "", 0, ""), op("exec", "", ["/bin/true"], [])], [])
    result = Talk(launcher, plan[:-8] + struct.pack("<II", 0, 5)).end()

    assert [message.kind for message in result.messages] == [protocol.MESSAGE_FAIL]


def test_plan_that_could_change_is_refused(launcher: Path) -> None:
    """A memfd that can still be written or cut is no plan."""
    for seals in (0, 0x2, 0x8):
        failure = Talk(launcher, harmless(), seals=seals).end().failure
        assert failure is not None
        assert failure.detail == protocol.DETAIL_UNSEALED_PLAN


@pytest.mark.parametrize("message", [b"", b"x", HEAD.pack(4, 0, 0, 0)])
def test_a_first_message_that_is_no_plan(launcher: Path, message: bytes) -> None:
    """Anything but PLAN ends the launcher without a word."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.posix_spawn(str(launcher), ["x"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])
    theirs.close()
    if message:
        ours.send(message)
    else:
        ours.close()

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    if message:
        assert ours.recv(100) == b""


def test_plan_without_its_memfd(launcher: Path) -> None:
    """PLAN with fewer fds than it says is malformed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.posix_spawn(str(launcher), ["x"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])
    theirs.close()
    ours.send(HEAD.pack(protocol.MESSAGE_PLAN, 2, 100, 0))
    kind, _, _, detail = HEAD.unpack_from(ours.recv(4096))

    assert (kind, detail) == (protocol.MESSAGE_FAIL, protocol.DETAIL_MALFORMED_PLAN)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_without_control_socket(launcher: Path) -> None:
    """Started by hand it ends at once."""
    pid = os.posix_spawn(str(launcher), ["x"], {}, file_actions=[(os.POSIX_SPAWN_CLOSE, 3)])

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_whole_container_under_the_sanitizer(sanitized: Path, rootfs: Path) -> None:
    """A container with most kinds of operations shows no bad access."""
    mounts = [
        PROC,
        op("mkdir", "", 0o755, "/a/b"),
        op("mknod", "", 0o20666, 1, 3, 0, 0, "/dev/null"),
        op("symlink", "", "/dev/fd", "x"),
        op("mount_legacy", "", 0, 0, "/a/b", "tmpfs", "tmpfs", "size=1m"),
    ]
    rootfs_phase = [
        op("fresh_null", ""),
        op("sysctl", "", "kernel/shmmni", "100"),
        op("mask", "", "null", "/etc/passwd"),
        op("mask", "", "null", "/tmp"),
        op("mask", "", "null", "/work"),
        op("readonly", "", "/proc/sys"),
        op("root_attr", "", 1, 0),
    ]
    late = [
        op("umask", "", 0o22),
        op("chdir", "", "/", phase="process"),
        op("bounding", "", 0),
        op("user", "", 1, 1, 1, ["1", "2"]),
        op("capabilities", "", 0, 0, 0, phase="user"),
        op("home", "", 0),
        op("find_program", "", "sh", "/x:/bin"),
        op("hook", "", 0, "/bin/sh", ["sh", "-c", "exit 0"], [], b"a", b"b", phase="start"),
    ]
    plan = container(rootfs, shell("echo done"), mounts, rootfs_phase, late, flags=NEWNS | 0x28000000)
    # ASan keeps the address space busy and prints to fd 2 only: its report would be the output.
    result = Talk(sanitized, plan).end()

    assert (result.failure, result.output, result.status) == (None, "done\n", 0)
