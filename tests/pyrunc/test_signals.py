"""Names and numbers of signals."""

from __future__ import annotations

import signal

import pytest

from pyrunc.signals import parse
from pyrunc.specs.errors import PyruncError


def test_every_signal_of_python() -> None:
    """Each signal that this machine has is found by its name, with and without SIG, in any case, and by its number."""
    for known in signal.Signals:
        name = known.name
        assert [parse(name), parse(name[3:]), parse(name.lower()), parse(str(known.value))] == [known.value] * 4


@pytest.mark.parametrize(("text", "number"), [("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("sigrtmin+30", 64), ("0", 0)])
def test_offsets(text: str, number: int) -> None:
    """Real-time signals are counted from both ends; 0 is no signal but allowed."""
    assert parse(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FOO",
        "SIG",
        "SIGSIGKILL",
        "-9",
        "65",
        "999999999999",
        "9x",
        " 9",
        "٩",
        "RTMIN+31",
        "RTMIN-1",
        "RTMAX+1",
        "RTMIN+",
    ],
)
def test_unknown(text: str) -> None:
    """What is no signal is refused in runc's words."""
    with pytest.raises(PyruncError) as caught:
        parse(text)

    assert str(caught.value) == f'unknown signal "{text}"'
