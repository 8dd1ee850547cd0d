"""Typed parts of a document for tests, made from JSON values by the real decoder."""

from __future__ import annotations

from typing import Any

from pyrunc.specs.decode import Node
from pyrunc.specs.runtime import Capabilities, Resources
from pyrunc.specs.seccomp import Seccomp


def resources(**members: Any) -> Resources:
    return Resources(Node(members, "linux.resources"))


def seccomp(**members: Any) -> Seccomp:
    return Seccomp(Node(members, "linux.seccomp"))


def capabilities(**members: Any) -> Capabilities:
    return Capabilities(Node(members, "process.capabilities"))
