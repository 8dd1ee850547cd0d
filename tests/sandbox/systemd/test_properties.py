"""Limits as properties of a unit."""

from __future__ import annotations

import pytest

from pyrunc.sandbox.cgroup.devices import DEFAULT_RULES, MKNOD, READ, WRITE
from pyrunc.sandbox.systemd.properties import INFINITY, bits, devices, properties, rounded
from pyrunc.specs.errors import Invalid


@pytest.mark.parametrize(
    ("file", "value", "expected"),
    [
        ("memory.max", "1024", ("MemoryMax", "t", 1024)),
        ("memory.max", "max", ("MemoryMax", "t", INFINITY)),
        ("memory.limit_in_bytes", "-1", ("MemoryLimit", "t", INFINITY)),
        ("memory.swap.max", "0", ("MemorySwapMax", "t", 0)),
        ("pids.max", "max", ("TasksMax", "t", INFINITY)),
        ("cpu.weight", "42", ("CPUWeight", "t", 42)),
        ("cpu.idle", "1", ("CPUWeight", "t", 0)),
        ("cpu.shares", "512", ("CPUShares", "t", 512)),
        ("io.weight", "default 200", ("IOWeight", "t", 200)),
        ("cpuset.cpus", "0-2,9", ("AllowedCPUs", "ay", b"\x07\x02")),
        ("cpuset.mems", "1", ("AllowedMemoryNodes", "ay", b"\x02")),
    ],
)
def test_each(file: str, value: str, expected: object) -> None:
    """What a file would get is what the property says."""
    assert properties([(file, value)]) == [expected]


def test_unknown_is_for_the_file_alone() -> None:
    """What systemd cannot say is left to the file."""
    writes = [("cpu.max.burst", "5"), ("io.max", "8:0 rbps=1"), ("cpu.idle", "0"), ("io.weight", "8:0 50")]

    assert properties(writes) == []


def test_last_wins() -> None:
    """linux.resources.unified comes after the limit by its own name, and each property is given once."""
    assert properties([("memory.max", "1"), ("memory.max", "2")]) == [("MemoryMax", "t", 2)]


@pytest.mark.parametrize(
    ("value", "period", "per_second"),
    [("50000 100000", 100000, 500000), ("max 100000", 100000, INFINITY), ("123456 1000000", 1000000, 130000)],
)
def test_quota(value: str, period: int, per_second: int) -> None:
    """A quota becomes CPU time in a second, in whole percents."""
    assert properties([("cpu.max", value)]) == [
        ("CPUQuotaPeriodUSec", "t", period),
        ("CPUQuotaPerSecUSec", "t", per_second),
    ]


def test_quota_of_v1() -> None:
    """Two files make the quota; the one that is not written counts as it is now."""
    assert properties([("cpu.cfs_quota_us", "25000")], "-1", "50000")[-1] == ("CPUQuotaPerSecUSec", "t", 500000)
    assert properties([("cpu.cfs_period_us", "50000")], "25000", "100000")[-1] == ("CPUQuotaPerSecUSec", "t", 500000)
    assert properties([("memory.limit_in_bytes", "5")], "25000", "100000") == [("MemoryLimit", "t", 5)]


@pytest.mark.parametrize(
    ("file", "value", "expected"),
    [
        ("cpu.max", "123456 1000000", "130000 1000000"),
        ("cpu.max", "5000 50000", "5000 50000"),
        ("cpu.max", "max 50000", "max 50000"),
        ("cpu.max", "nonsense", "nonsense"),
        ("cpu.cfs_quota_us", "12345", "13000"),
        ("cpu.cfs_quota_us", "-1", "-1"),
        ("pids.max", "0", "1"),
        ("memory.max", "123", "123"),
    ],
)
def test_rounded(file: str, value: str, expected: str) -> None:
    """The file gets what systemd would write, so that a reload changes nothing."""
    assert rounded(file, value) == expected


@pytest.mark.parametrize("bad", ["one", "3-1", "-1", "1-", "0-99999999999", "1.5"])
def test_bad_lists(bad: str) -> None:
    """A list that is none is refused, and none makes us count to a billion."""
    with pytest.raises(Invalid):
        bits(bad, "cpuset.cpus")


@pytest.mark.parametrize(("file", "value"), [("memory.max", "much"), ("pids.max", "1e3"), ("cpu.max", "1 one")])
def test_bad_numbers(file: str, value: str) -> None:
    """A number that is none is refused."""
    with pytest.raises(Invalid):
        properties([(file, value)])


def test_devices() -> None:
    """Allowed devices by number, by major number and by kind, after an empty list that clears what is there."""
    rules = [
        (True, "c", 10, 229, READ | WRITE, ""), (True, "b", 8, None, READ, ""), (True, "c", None, None, MKNOD, ""),
    ]  # fmt: skip

    found = devices(False, rules, False)

    assert found[:2] == [("DeviceAllow", "a(ss)", []), ("DevicePolicy", "s", "strict")]
    assert found[2][2] == [("/dev/char/10:229", "rwm"), ("block-8", "r"), ("char-*", "m")]


def test_default_devices() -> None:
    """What every container may use can be said to systemd."""
    allowed = devices(False, list(DEFAULT_RULES), True)[-1][2]

    assert ("/dev/char/1:3", "rwm") in allowed
    assert ("char-136", "rwm") in allowed


@pytest.mark.parametrize(
    ("base", "rules"),
    [(True, [(False, "c", 1, 1, 7, "")]), (False, [(True, "c", None, 5, 7, "")]),
     (False, [(True, "c", None, None, 7, ""), (False, "c", 1, 1, 7, "")])],
)  # fmt: skip
def test_inexpressible_devices(base: bool, rules: list[tuple[bool, str, int | None, int | None, int, str]]) -> None:
    """Rules that systemd cannot express are left to our own filter: systemd allows all."""
    assert devices(base, rules, True) == [("DeviceAllow", "a(ss)", []), ("DevicePolicy", "s", "auto")]
