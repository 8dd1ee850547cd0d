"""The command line: global flags, the way to a command, and what becomes of errors. Hot path.

Each command is a module of this package with `COMMAND` (what it takes and how its help reads) and `run(context,
given)`, which returns the exit code. Only the module of the command at hand is loaded. Commands say what is wrong by
raising PyruncError; here it becomes the one record of log.py and the exit code. A traceback is shown with --debug only.
"""

from __future__ import annotations

import posix
import sys

from pyrunc.cli.context import GLOBAL_FLAGS, Context, send, show
from pyrunc.cli.log import Log
from pyrunc.cli.options import Command, UsageError, check_count, parse
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.store import absolute, default_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, Protocol

    from pyrunc.cli.options import Given

    class CommandModule(Protocol):
        COMMAND: Command

        @staticmethod
        def run(context: Context, given: Given) -> int: ...


COMMANDS = (
    "checkpoint", "completion", "create", "delete", "doctor", "events", "exec", "explain", "features", "image", "kill",
    "list", "pause", "plan", "ps", "restore", "resume", "run", "seccomp", "spec", "start", "state", "top",
    "update", "validate",
)  # fmt: skip

EXPLAINED = ("create", "run", "start", "exec")

SIGNALLED = 128  # and the number of the signal
SIGINT = 2


def main(arguments: list[str] | None = None, launcher: str = "") -> NoReturn:
    """Carries out one command line and ends the process, without the clean-up of the interpreter (1 ms). `launcher` is
    that of the front, which started one meanwhile (native/front/early.h)."""
    take_streams()
    if launcher:
        from pyrunc.sandbox.launcher import adopt_launcher, dismiss_launcher

        adopt_launcher(launcher)
    status = perform(sys.argv[1:] if arguments is None else arguments)
    if launcher:
        dismiss_launcher()
    if status == 0 and getattr(sys, "_pyrunc_hot", None) is False:  # started by the front, which found no warm modules
        from pyrunc.hot import refresh

        refresh()
    posix._exit(status)


def take_streams() -> None:
    """Standard streams that the caller has closed lead nowhere: the next file that is opened would be in their place,
    and a container would get it."""
    for fd in (0, 1, 2):
        try:
            posix.fstat(fd)
        except OSError:
            posix.set_inheritable(posix.open("/dev/null", posix.O_RDWR), True)


class Attempt:
    """How far a command line has got: what an error has to know."""

    __slots__ = ("command", "context", "given", "log")

    def __init__(self) -> None:
        self.log = Log()
        self.command: Command | None = None
        self.context: Context | None = None
        self.given: Given | None = None


def perform(arguments: list[str]) -> int:
    """Carries out one command line and returns the exit code."""
    attempt = Attempt()
    try:
        status = carry_out(attempt, arguments)
        return status if flush(attempt.log) else status or 1
    except UsageError as error:
        show(error.shown + "\n\n")
        show_help([attempt.command.name] if attempt.command else [])
        flush(attempt.log)  # before the error, which is what has to stand last on a terminal
        attempt.log.error(str(error))
        return 1
    except PyruncError as error:
        status = fail_bare(attempt, error) if error.bare else fail(attempt, str(error), error.hint)
        keep_failure(attempt, error)
        return status
    except KeyboardInterrupt as error:
        return SIGNALLED + (error.args[0] if error.args else SIGINT)
    except Exception as error:
        if isinstance(error, FileNotFoundError) and is_astray():
            return fail(attempt, "the working folder has been removed", "change to one that exists")
        return fail(attempt, f"internal error: {type(error).__name__}: {error}", "--debug shows where it happened")


def carry_out(attempt: Attempt, arguments: list[str]) -> int:
    given = parse(GLOBAL_FLAGS, arguments, stops=True)
    if given.switch("version"):
        return show_version()
    if given.switch("help") or not given.arguments:
        return show_help([])
    level = "debug" if given.switch("debug") else given.text("log-level", "warning")
    attempt.log = Log(given.text("log"), given.text("log-format", "text"), level)
    context = attempt.context = make_context(attempt.log, given)

    if given.switch("report-start"):
        from pyrunc.cli.start import COMMAND, report

        attempt.command, attempt.given = COMMAND, given
        return report(context, given.arguments)
    name, *rest = given.arguments
    if name in ("help", "h"):
        return show_help(rest)
    if name == "image" and rest and not rest[0].startswith("-"):
        from pyrunc.cli.images.shared import stop_tidily

        name, rest = f"image {rest[0]}", rest[1:]
        stop_tidily()
    module = load(name)
    command = attempt.command = module.COMMAND
    given = attempt.given = parse(command.flags, rest, command.stops)
    if given.switch("help"):
        return show_help([name])
    check_count(command, given)
    return module.run(context, given)


def make_context(log: Log, given: Given) -> Context:
    root = absolute(given.text("root") or default_root())
    if root == "/":
        raise PyruncError("Option --root argument should not be set to /")
    rootless = given.text("rootless", "auto")
    if rootless not in ("true", "false", "auto"):
        raise PyruncError(f"invalid value for --rootless: {rootless}", hint="true, false or auto")
    manager = "systemd" if given.switch("systemd-cgroup") else given.text("cgroup-manager", "cgroupfs")
    if manager not in ("cgroupfs", "systemd", "disabled"):
        raise PyruncError(f"invalid value for --cgroup-manager: {manager}", hint="cgroupfs, systemd or disabled")
    return Context(
        log=log, root=root, root_given=bool(given.text("root")), cgroup_manager=manager, rootless=rootless
    )  # fmt: skip


def is_astray() -> bool:
    """Whether this process is in a folder that is not there any more: whoever makes a path absolute fails then."""
    try:
        posix.getcwd()
    except FileNotFoundError:
        return True
    return False


def fail(attempt: Attempt, message: str, hint: str | None) -> int:
    if attempt.log.debug:
        import traceback

        traceback.print_exc()
    command = attempt.command
    attempt.log.error(command.prefix + message if command else message, hint)
    return command.failure if command else 1


def fail_bare(attempt: Attempt, error: PyruncError) -> int:
    """One line and no hint, without what we were at: in runc too it is the container's process that says it. Where
    there is a log it gets the whole record."""
    if attempt.log.says_bare(error.message):
        return attempt.command.failure if attempt.command else 1
    return fail(attempt, str(error), None)


def keep_failure(attempt: Attempt, error: PyruncError) -> None:
    """For `pyrunc explain`; after the error itself, which somebody waits for."""
    command, context, given = attempt.command, attempt.context, attempt.given
    if command is None or context is None or given is None or not given.arguments or command.name not in EXPLAINED:
        return
    if is_astray():
        return
    from pyrunc.failed import keep

    bundle = absolute(given.text("bundle") or ".") if command.name in ("create", "run") else ""
    keep(context.root, command.name, given.arguments[0], bundle, error)


def flush(log: Log) -> bool:
    """Sends out what was shown. False: it could not be written, and that has been said."""
    try:
        send()
    except Failure as error:
        log.error(str(error))
        return False
    return True


def load(name: str) -> CommandModule:
    """The module of a command."""
    if name in COMMANDS:
        home = f"pyrunc.cli.{name}"
        __import__(home)
        return sys.modules[home]  # type: ignore[return-value]
    if name.startswith("image "):
        from pyrunc.cli.images import NAMES

        if name.removeprefix("image ") in NAMES:
            home = f"pyrunc.cli.images.{name.removeprefix('image ')}"
            __import__(home)
            return sys.modules[home]  # type: ignore[return-value]
    raise PyruncError(f"No help topic for '{name}'", hint="`pyrunc --help` shows the commands")


def show_help(names: list[str]) -> int:
    """The help of a command, or of pyrunc itself."""
    from pyrunc.cli.help import command_help, program_help

    if names and names[0] in ("--man", "-man"):
        from pyrunc.cli.man import command_page, program_page

        show(command_page(load(" ".join(names[1:])).COMMAND) if names[1:] else program_page())
    elif names:
        show(command_help(load(" ".join(names[:2] if names[0] == "image" else names[:1])).COMMAND))
    else:
        show(program_help([load(name).COMMAND for name in COMMANDS]))
    return 0


def show_version() -> int:
    from pyrunc.specs.runtime import VERSION as SPEC_VERSION
    from pyrunc.version import COMMIT, VERSION

    show(f"pyrunc version {VERSION}\n" + (f"commit: {COMMIT}\n" if COMMIT else "") + f"spec: {SPEC_VERSION}\n")
    return 0
