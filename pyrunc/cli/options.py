"""A small parser with the manners of Go's `flag` package and of runc's commands, which engines rely on. Hot path.

`-name` is `--name`; a value follows as `--name=value` or as the next argument, whatever that looks like; switches take
`=false`; a flag given twice keeps the last value unless it collects; `--` ends flags. Flags and arguments may mix,
except where the arguments are another program's (`stops`). The texts of errors are Go's. Must not print.
"""

from __future__ import annotations

from pyrunc.specs.errors import PyruncError

SWITCH, TEXT, NUMBER, LIST = "switch", "text", "number", "list"

TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("0", "f", "F", "false", "FALSE", "False")

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Names as shown in help ("bundle, b"), one of the four kinds, a sentence. Without a sentence the flag is not shown.
    Flag = tuple[str, str, str]


class UsageError(PyruncError):
    """The command line cannot be understood. `shown` is the first line on standard output, before the help."""

    def __init__(self, message: str, shown: str) -> None:
        super().__init__(message)
        self.shown = shown


class Command:
    """What a command takes, and what its help says."""

    __slots__ = ("details", "failure", "flags", "maximum", "minimum", "name", "prefix", "stops", "summary", "usage")

    def __init__(
        self,
        name: str,
        summary: str,
        usage: str = "",
        *,
        minimum: int = 0,
        maximum: int | None = None,
        flags: tuple[Flag, ...] = (),
        details: str = "",
        stops: bool = False,  # flags end at the first argument
        prefix: str = "",  # of every error
        failure: int = 1,  # exit code of errors other than a wrong command line
    ) -> None:
        self.name = name
        self.summary = summary
        self.usage = usage
        self.minimum = minimum
        self.maximum = maximum
        self.flags = flags
        self.details = details
        self.stops = stops
        self.prefix = prefix
        self.failure = failure


class Given:
    """What the caller gave: values by a flag's first name, and the arguments that are no flags."""

    __slots__ = ("arguments", "values")

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.arguments: list[str] = []

    def has(self, name: str) -> bool:
        return name in self.values

    def switch(self, name: str) -> bool:
        return self.values.get(name, FALSE)[-1] in TRUE

    def text(self, name: str, default: str = "") -> str:
        return self.values[name][-1] if name in self.values else default

    def number(self, name: str, default: int = 0) -> int:
        return int(self.values[name][-1], 0) if name in self.values else default

    def list(self, name: str) -> list[str]:
        return self.values.get(name, [])


def parse(flags: tuple[Flag, ...], arguments: list[str], stops: bool = False) -> Given:
    """Sorts a command line into flags and arguments. `help` and `h` are understood everywhere."""
    known = {name: flag for flag in flags for name in flag[0].split(", ")}
    given = Given()
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        index += 1
        if argument == "--":
            break
        if argument == "-" or not argument.startswith("-"):
            if stops:
                index -= 1
                break
            given.arguments.append(argument)
            continue
        name, equals, value = argument[1:].removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            raise _wrong(f"bad flag syntax: {argument}")
        if name in ("help", "h") and name not in known:
            flag: Flag = ("help, h", SWITCH, "show help")
        elif name in known:
            flag = known[name]
        else:
            raise _wrong(f"flag provided but not defined: -{name}")
        if flag[1] == SWITCH:
            value = value if equals else "true"
        elif not equals:
            if index == len(arguments):
                raise _wrong(f"flag needs an argument: -{name}")
            value = arguments[index]
            index += 1
        _check(name, flag[1], value)
        given.values.setdefault(flag[0].partition(",")[0], []).append(value)
    given.arguments += arguments[index:]
    return given


def check_count(command: Command, given: Given) -> None:
    """Refuses too few and too many arguments, in the words of runc."""
    count, minimum, maximum = len(given.arguments), command.minimum, command.maximum
    if count >= minimum and (maximum is None or count <= maximum):
        return
    if minimum == maximum:
        asked = f"exactly {minimum}"
    elif count < minimum:
        asked = f"a minimum of {minimum}"
    else:
        asked = f"a maximum of {maximum}"
    raise UsageError(f'pyrunc: "{command.name}" requires {asked} argument(s)', "Incorrect Usage.")


def _check(name: str, kind: str, value: str) -> None:
    if kind == SWITCH and value not in TRUE + FALSE:
        raise _wrong(f'invalid boolean value "{value}" for -{name}: parse error')
    if kind == NUMBER:
        try:
            fits = -(1 << 63) <= int(value, 0) < 1 << 63
        except ValueError:
            fits = False
        if not fits:
            raise _wrong(f'invalid value "{value}" for flag -{name}: parse error')


def _wrong(message: str) -> UsageError:
    return UsageError(message, f"Incorrect Usage: {message}")
