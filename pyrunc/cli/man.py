"""Man pages from the commands' own tables: pyrunc(8), pyrunc-run(8) and so on. The build installs them; `pyrunc help
--man [COMMAND]` prints one. Must know no command by name."""

from __future__ import annotations

from pyrunc.cli import tables
from pyrunc.cli.options import SWITCH
from pyrunc.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.options import Command, Flag

SUMMARY = "Open Container Initiative runtime, and image tool"
USAGE = r"\fBpyrunc\fR [\fIglobal options\fR] \fIcommand\fR [\fIcommand options\fR] [\fIarguments\fR]"
ABOUT = """
A bundle is a folder with a config.json and a root file system. pyrunc makes a container of it, as the runtime
specification of the Open Container Initiative has it; commands, flags and outputs are those of runc, so that container
engines can use it in its place.
"""
EXIT = """
0 on success, 1 on failure. The foreground commands run and exec end as the container's program did: with its exit code,
or with 128 and the number of the signal that ended it; exec fails with 255.
"""


def pages() -> dict[str, str]:
    """All pages, by the names of their files."""
    made = {f"{_name(command)}.8": command_page(command) for command in tables.commands()}
    return {"pyrunc.8": program_page(), **made}


def program_page() -> str:
    parts = [
        _head("pyrunc", SUMMARY),
        f".SH SYNOPSIS\n{USAGE}",
        f".SH DESCRIPTION\n{_text(ABOUT)}",
        ".SH COMMANDS",
        *(f".TP\n\\fB{_escape(_name(one))}\\fR(8)\n{_line(one.summary)}" for one in tables.commands()),
        ".SH GLOBAL OPTIONS",
        *map(_flag, tables.global_flags()),
        f".SH EXIT STATUS\n{_text(EXIT)}",
        ".SH ENVIRONMENT",
        ".TP\nXDG_RUNTIME_DIR\nwhere the state of containers is kept for whoever is not root",
        ".TP\nLISTEN_FDS\nhow many file descriptors from 3 on are passed to the container",
        ".TP\nNOTIFY_SOCKET\nthe service manager that a container may tell that it is ready",
    ]
    return "\n".join(parts) + "\n"


def _name(command: Command) -> str:
    return f"pyrunc-{command.name.replace(' ', '-')}"


def command_page(command: Command) -> str:
    title = _name(command)
    options = " [\\fIoptions\\fR]" if command.flags else ""
    usage = f" {_line(command.usage)}" if command.usage else ""
    parts = [
        _head(title, command.summary),
        f".SH SYNOPSIS\n\\fBpyrunc {_escape(command.name)}\\fR{options}{usage}",
        f".SH DESCRIPTION\n{_text(command.details or command.summary)}",
        ".SH OPTIONS",
        *map(_flag, tables.shown(command.flags)),
        ".SH SEE ALSO\n.BR pyrunc (8)",
    ]
    return "\n".join(parts) + "\n"


def _head(title: str, summary: str) -> str:
    shown = _escape(title)
    return f'.TH "{shown.upper()}" "8" "" "pyrunc {VERSION}" "pyrunc"\n.SH NAME\n{shown} \\- {_line(summary)}'


def _flag(flag: Flag) -> str:
    value = "" if flag[1] == SWITCH else " \\fIvalue\\fR"
    shown = ", ".join(f"\\fB{_escape(name)}\\fR{value}" for name in tables.names(flag))
    return f".TP\n{shown}\n{_line(flag[2])}"


def _text(text: str) -> str:
    """Paragraphs; lines that are indented stay as they are."""
    lines: list[str] = []
    literal = False
    for line in text.strip("\n").split("\n"):
        if line.startswith("    ") != literal:
            literal = not literal
            lines.append(".nf" if literal else ".fi")
        lines.append(_line(line) if line.strip() else ".PP")
    return "\n".join([*lines, ".fi"] if literal else lines)


def _line(text: str) -> str:
    """A line of text: a dot or quote at its beginning would be a request."""
    text = _escape(text)
    return f"\\&{text}" if text[:1] in (".", "'") else text


def _escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")
