"""`pyrunc create`: makes a container, whose program then waits for `start`."""

from __future__ import annotations

import posix

from pyrunc.cli.options import NUMBER, SWITCH, TEXT, Command
from pyrunc.options import CreateOptions
from pyrunc.specs.errors import Failure, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Flag, Given

CREATE_FLAGS: tuple[Flag, ...] = (
    ("bundle, b", TEXT, "folder of the bundle (default: the current one)"),
    ("console-socket", TEXT, "AF_UNIX socket that gets the master side of the container's terminal"),
    ("config, f", TEXT, "the document, instead of the bundle's config.json"),
    ("pidfd-socket", TEXT, "AF_UNIX socket that gets a pidfd of the container's first process"),
    ("pid-file", TEXT, "file to write the process id to"),
    ("no-pivot", SWITCH, "move and chroot instead of pivot_root, for a rootfs on a ramdisk"),
    ("no-new-keyring", SWITCH, "keep the caller's session keyring"),
    ("preserve-fds", NUMBER, "file descriptors to pass on, from 3 + $LISTEN_FDS (default: 0)"),
)

COMMAND = Command(
    "create",
    "create a container",
    "<container-id>",
    minimum=1,
    maximum=1,
    flags=CREATE_FLAGS,
    prefix="pyrunc create failed: ",
    details="""
<container-id> is the name of the new container, which no other container of the same --root may have.
Its program is looked up, but does not run before "pyrunc start <container-id>".
""",
)


def run(context: Context, given: Given) -> int:
    options = create_options(context, given)

    from pyrunc import lifecycle

    lifecycle.create(context.root, given.arguments[0], options.bundle, options)
    return 0


def create_options(context: Context, given: Given) -> CreateOptions:
    """The flags of `create` and `run` as a value."""
    return CreateOptions(
        bundle=real_folder(given.text("bundle") or "."),
        config=given.text("config"),
        console_socket=given.text("console-socket"),
        pidfd_socket=given.text("pidfd-socket"),
        pid_file=given.text("pid-file"),
        no_pivot=given.switch("no-pivot"),
        no_new_keyring=given.switch("no-new-keyring"),
        preserve_fds=count_of_fds(given),
        detach=given.switch("detach"),
        keep=given.switch("keep"),
        no_subreaper=given.switch("no-subreaper"),
        cgroup_manager=context.cgroup_manager,
        rootless=context.rootless,
        warn=context.log.warning,
        trace=context.log.step if context.log.debug else None,
    )


def count_of_fds(given: Given) -> int:
    count = given.number("preserve-fds")
    if not 0 <= count < 1 << 20:
        raise PyruncError(f"invalid value for --preserve-fds: {count}")
    return count


def real_folder(path: str) -> str:
    """The path of a folder as the kernel has it: `state` shows it, and hooks that work in another folder get it."""
    try:
        fd = posix.open(path, posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
        try:
            return str(posix.readlink(f"/proc/self/fd/{fd}"))
        finally:
            posix.close(fd)
    except OSError as error:
        raise Failure(f"open the bundle {path}", number=error.errno or 0) from None
