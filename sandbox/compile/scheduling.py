"""Compiles how the kernel treats the process: scheduler, I/O priority, memory policy, personality, CPUs of `exec`.

Loaded for a document that asks for one of them. Pure; must not judge values: the rules have.
"""

from __future__ import annotations

from pyrunc.sandbox.plan import op
from pyrunc.specs.lists import members
from pyrunc.specs.section_rules import (
    IO_CLASSES,
    MEMORY_FLAGS,
    MEMORY_MODES,
    SCHEDULER_FLAGS,
    SCHEDULER_POLICIES,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.plan import Operation, Plan
    from pyrunc.specs.runtime import Linux, MemoryPolicy, Personality, Process, Scheduler

PERSONALITIES = {"LINUX": 0, "LINUX32": 0x0008}


def scheduling(plan: Plan, process: Process, linux: Linux) -> None:
    """As root of the container still: a real-time policy takes CAP_SYS_NICE. After `cpu_affinity`: SCHED_DEADLINE
    needs all CPUs."""
    if process.scheduler:
        plan.init.append(_scheduler(process.scheduler))
    wanted = process.io_priority
    if wanted:
        value = (IO_CLASSES.index(wanted.class_) + 1) << 13 | wanted.priority
        plan.init.append(op("io_priority", wanted.pointer, value))
    if linux.personality:
        plan.init.append(op("personality", linux.personality.pointer, PERSONALITIES[linux.personality.domain]))
        plan.warnings += _unused_flags(linux.personality)
    if linux.memory_policy:
        plan.init.append(_memory_policy(linux.memory_policy))


def _scheduler(wanted: Scheduler) -> Operation:
    flags = sum({1 << SCHEDULER_FLAGS.index(flag) for flag in wanted.flags})
    return op(
        "scheduler", wanted.pointer, SCHEDULER_POLICIES.index(wanted.policy), flags, wanted.nice, wanted.priority,
        wanted.runtime, wanted.deadline, wanted.period,
    )  # fmt: skip


def _memory_policy(wanted: MemoryPolicy) -> Operation:
    flags = sum({MEMORY_FLAGS[flag] for flag in wanted.flags})
    nodes = mask(wanted.nodes) if wanted.nodes else b""
    return op("memory_policy", wanted.pointer, MEMORY_MODES.index(wanted.mode) | flags, nodes)


def _unused_flags(wanted: Personality) -> list[str]:
    return [f"ignoring unsupported personality flags: [{' '.join(wanted.flags)}]"] if wanted.flags else []


def affinity(pointer: str, cpus: str, phase: str) -> Operation:
    """The CPUs of a list such as `0-3,7`."""
    return op("cpu_affinity", pointer, mask(cpus), phase=phase)


def mask(text: str) -> bytes:
    """A list's members as the kernel's bit mask: whole 64 bit words, little endian."""
    bits = members(text)
    return bits.to_bytes((bits.bit_length() + 63) // 64 * 8, "little")
