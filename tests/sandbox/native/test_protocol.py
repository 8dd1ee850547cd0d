"""Numbers that C and Python both have are the same on both sides."""

from __future__ import annotations

import re
import subprocess
import sys

from pyrunc.sandbox import protocol
from pyrunc.sandbox.operations import OPERATIONS, TOLERANCES
from tests.sandbox.native.harness import NATIVE


def test_protocol_header_agrees() -> None:
    """Every message type and detail code of protocol.h has its twin in protocol.py, and the other way round."""
    text = (NATIVE / "protocol.h").read_text()
    header = {
        name: int(value) for name, value in re.findall(r"^\s*((?:MESSAGE|DETAIL)_\w+) = (\d+),", text, re.MULTILINE)
    }
    header |= {name: int(value) for name, value in re.findall(r"^#define (\w+) (\d+)$", text, re.MULTILINE)}
    module = {name: value for name, value in vars(protocol).items() if isinstance(value, int)}

    assert module == header


def test_operations_header_is_fresh() -> None:
    """operations.h is what generate.py makes of the table today."""
    generated = subprocess.run(
        [sys.executable, str(NATIVE / "generate.py")], capture_output=True, text=True, check=True
    )

    assert generated.stdout == (NATIVE / "operations.h").read_text()


def test_codes_and_tolerances_are_each_of_one_thing() -> None:
    """No two operations have one code, no two tolerances one bit; the decoder's table ends at the highest code."""
    codes = [entry[0] for entry in OPERATIONS.values()]
    bits = list(TOLERANCES.values())

    assert len(set(codes)) == len(codes) and min(codes) > 0 and max(codes) < 128
    assert sum(bits) == sum({1 << bit.bit_length() - 1 for bit in bits}) < 1 << 16


def test_detail_of_splits_what_the_launcher_packs() -> None:
    """`b` of a FAIL is the code in the lower and its number in the upper half."""
    assert protocol.detail_of(41 | 7 << 32) == (protocol.DETAIL_HOOK_EXITED, 7)
