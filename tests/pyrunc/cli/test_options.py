"""The parser: Go's manners, which engines rely on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunc.cli.options import FALSE, LIST, NUMBER, SWITCH, TEXT, TRUE, Command, UsageError, check_count, parse

FLAGS = (
    ("bundle, b", TEXT, "a text"),
    ("detach, d", SWITCH, "a switch"),
    ("env, e", LIST, "a list"),
    ("preserve-fds", NUMBER, "a number"),
)
WORDS = st.text("abc-=", max_size=5)


@pytest.mark.parametrize(
    "line", [["--bundle", "x"], ["-bundle", "x"], ["--bundle=x"], ["-bundle=x"], ["-b", "x"], ["--b=x"], ["-b=x"]]
)
def test_spellings(line: list[str]) -> None:
    """One dash or two, short name or long, value behind = or next: all the same."""
    assert parse(FLAGS, line).text("bundle") == "x"


@pytest.mark.parametrize("value", ["-1", "--detach", "--", "-", "", "a=b"])
def test_values_are_not_looked_at(value: str) -> None:
    """The argument after a flag that needs a value is the value, whatever it looks like."""
    given = parse(FLAGS, ["--bundle", value, "id"])

    assert (given.text("bundle"), given.arguments) == (value, ["id"])


def test_equals_in_a_value() -> None:
    """Only the first = ends the name."""
    assert parse(FLAGS, ["--env=A=B=C", "-e", "D=E"]).list("env") == ["A=B=C", "D=E"]


@pytest.mark.parametrize("word", TRUE)
def test_true(word: str) -> None:
    """Go's words for true."""
    assert parse(FLAGS, [f"--detach={word}"]).switch("detach")


@pytest.mark.parametrize("word", FALSE)
def test_false(word: str) -> None:
    """Go's words for false, also over an earlier true."""
    assert not parse(FLAGS, ["-d", f"--detach={word}"]).switch("detach")


def test_absent() -> None:
    """Absent flags have their defaults, and can be told from those given."""
    given = parse(FLAGS, ["--preserve-fds=0"])

    assert (given.text("bundle", "."), given.switch("detach"), given.list("env")) == (".", False, [])
    assert (given.has("preserve-fds"), given.has("bundle")) == (True, False)


def test_switch_takes_no_value() -> None:
    """The argument after a switch is an argument, and the last value of a flag counts."""
    given = parse(FLAGS, ["-d", "false", "--bundle=x", "--bundle=y"])

    assert (given.switch("detach"), given.arguments, given.text("bundle")) == (True, ["false"], "y")


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("0x10", 16), ("-1", -1), ("0o17", 15)])
def test_numbers(text: str, number: int) -> None:
    """Numbers as Go's ParseInt with base 0 reads them."""
    assert parse(FLAGS, ["--preserve-fds", text]).number("preserve-fds") == number


def test_flags_and_arguments_mix() -> None:
    """Flags may stand behind arguments, until -- ends them; - is an argument."""
    given = parse(FLAGS, ["id", "-d", "-", "--", "--bundle", "x"])

    assert (given.switch("detach"), given.arguments) == (True, ["id", "-", "--bundle", "x"])


def test_stops() -> None:
    """Where the arguments are another program's, its flags are not ours."""
    given = parse(FLAGS, ["-d", "id", "sh", "-c", "--help", "--"], stops=True)

    assert (given.switch("detach"), given.switch("help")) == (True, False)
    assert given.arguments == ["id", "sh", "-c", "--help", "--"]


@pytest.mark.parametrize("line", [["-h"], ["--help"], ["-help"], ["x", "-h"], ["--help=true"]])
def test_help_everywhere(line: list[str]) -> None:
    """Help is asked for in many ways."""
    assert parse(FLAGS, line).switch("help")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--nope"], "flag provided but not defined: -nope"),
        (["-nope=1"], "flag provided but not defined: -nope"),
        (["id", "-9"], "flag provided but not defined: -9"),
        (["-it"], "flag provided but not defined: -it"),
        (["--bundle"], "flag needs an argument: -bundle"),
        (["-b"], "flag needs an argument: -b"),
        (["---b"], "bad flag syntax: ---b"),
        (["-=x"], "bad flag syntax: -=x"),
        (["--=x"], "bad flag syntax: --=x"),
        (["--detach=maybe"], 'invalid boolean value "maybe" for -detach: parse error'),
        (["--preserve-fds=z"], 'invalid value "z" for flag -preserve-fds: parse error'),
        (["--preserve-fds="], 'invalid value "" for flag -preserve-fds: parse error'),
        (
            ["--preserve-fds=9223372036854775808"],
            'invalid value "9223372036854775808" for flag -preserve-fds: parse error',
        ),
    ],
)
def test_errors(line: list[str], message: str) -> None:
    """What cannot be understood is said in Go's words (podman reads them)."""
    with pytest.raises(UsageError) as caught:
        parse(FLAGS, line)

    assert str(caught.value) == message
    assert caught.value.shown == f"Incorrect Usage: {message}"


@pytest.mark.parametrize(
    ("minimum", "maximum", "count", "asked"),
    [(1, 1, 0, "exactly 1"), (1, 1, 2, "exactly 1"), (1, 2, 0, "a minimum of 1"), (1, 2, 3, "a maximum of 2")],
)
def test_wrong_counts(minimum: int, maximum: int, count: int, asked: str) -> None:
    """Too few and too many arguments are refused in runc's words."""
    command = Command("kill", "", minimum=minimum, maximum=maximum)
    with pytest.raises(UsageError) as caught:
        check_count(command, parse((), ["x"] * count))

    assert str(caught.value) == f'pyrunc: "kill" requires {asked} argument(s)'
    assert caught.value.shown == "Incorrect Usage."


@given(
    st.lists(st.sampled_from(["--", "-", "-d", "-b", "--bundle=x", "--env", "-d=false", "word"]) | WORDS), st.booleans()
)
def test_nothing_is_lost(line: list[str], stops: bool) -> None:
    """Whatever the line: it is refused, or every argument is a flag, a value or an argument, in its order."""
    try:
        given = parse(FLAGS, line, stops)
    except UsageError:
        return
    left = iter(line)

    assert all(argument in left for argument in given.arguments)
    behind = line.index(given.arguments[0]) if stops and given.arguments and "--" not in line else None
    assert behind is None or given.arguments == line[len(line) - len(given.arguments) :]
