"""`pyrunc exec`: one more process in a container."""

from __future__ import annotations

from pyrunc.cli.create import count_of_fds
from pyrunc.cli.options import LIST, NUMBER, SWITCH, TEXT, Command
from pyrunc.options import ExecOptions
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "exec",
    "execute a process inside a container",
    "<container-id> <command> [command arguments]  or  --process process.json <container-id>",
    minimum=1,
    stops=True,
    flags=(
        ("console-socket", TEXT, "AF_UNIX socket that gets the master side of the process's terminal"),
        ("pidfd-socket", TEXT, "AF_UNIX socket that gets a pidfd of the process"),
        ("cwd", TEXT, "working folder in the container"),
        ("env, e", LIST, "NAME=VALUE, over what config.json has; may be repeated"),
        ("tty, t", SWITCH, "give it a terminal"),
        ("user, u", TEXT, "UID or UID:GID"),
        ("additional-gids, g", LIST, "one more group id; may be repeated"),
        ("process, p", TEXT, "file with the whole process object; the other flags then do not count"),
        ("detach, d", SWITCH, "return as soon as the process runs"),
        ("pid-file", TEXT, "file to write the process id to"),
        ("process-label", TEXT, "SELinux label"),
        ("apparmor", TEXT, "AppArmor profile"),
        ("no-new-privs", SWITCH, "the process can gain no privileges"),
        ("cap, c", LIST, "one more capability; may be repeated"),
        ("preserve-fds", NUMBER, "file descriptors to pass on, from 3 + $LISTEN_FDS (default: 0)"),
        ("cgroup", LIST, "a cgroup below the container's: PATH, or CONTROLLER:PATH on cgroup v1"),
        ("ignore-paused", SWITCH, "also in a paused container, where it waits for resume"),
    ),
    prefix="exec failed: ",
    failure=255,
    details="""
The exit code is that of the process, or 128 and the number of the signal that ended it; 255 if it could not be run.
What is not given is as config.json has it, but for the terminal, which comes from --tty alone.

    # pyrunc exec box ps
""",
)

MAX_ID = (1 << 32) - 2  # the kernel takes the highest number for "leave it as it is"


def run(context: Context, given: Given) -> int:
    id, *args = given.arguments
    if not args and not given.has("process"):
        raise PyruncError("exec args cannot be empty")
    options = ExecOptions(
        args=args,
        process_file=given.text("process"),
        cwd=given.text("cwd"),
        env=given.list("env"),
        tty=given.switch("tty"),
        user=parse_user(given.text("user")),
        additional_gids=[parse_id(text) for text in given.list("additional-gids")],
        caps=given.list("cap"),
        no_new_privs=given.switch("no-new-privs") if given.has("no-new-privs") else None,
        process_label=given.text("process-label"),
        apparmor=given.text("apparmor"),
        detach=given.switch("detach"),
        pid_file=given.text("pid-file"),
        console_socket=given.text("console-socket"),
        pidfd_socket=given.text("pidfd-socket"),
        preserve_fds=count_of_fds(given),
        cgroup=given.list("cgroup"),
        ignore_paused=given.switch("ignore-paused"),
        trace=context.log.step if context.log.debug else None,
    )

    from pyrunc import lifecycle

    return lifecycle.execute(context.root, id, options)


def parse_user(text: str) -> tuple[int, int | None] | None:
    """`UID` or `UID:GID`. Numbers only, read strictly: what is not one must never turn into 0, which is root."""
    if not text:
        return None
    uid, colon, gid = text.partition(":")
    return parse_id(uid), parse_id(gid) if colon else None


def parse_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > MAX_ID:
        raise PyruncError(
            f'invalid user or group id "{text}"', hint="a number up to 4294967294; names are not looked up"
        )
    return int(text)
