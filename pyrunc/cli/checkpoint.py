"""`pyrunc checkpoint`: saves the processes of a container to files."""

from __future__ import annotations

import os

from pyrunc.cli.options import LIST, NUMBER, SWITCH, TEXT, Command
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Flag, Given
    from pyrunc.sandbox.criu.options import CriuOptions

# What both directions take, and both alike.
CRIU_FLAGS: tuple[Flag, ...] = (
    ("image-path", TEXT, "folder of CRIU's images (default: ./checkpoint)"),
    ("work-path", TEXT, "folder of CRIU's log and other files (default: that of the images)"),
    ("tcp-established", SWITCH, "with open TCP connections"),
    ("ext-unix-sk", SWITCH, "with unix sockets whose other end is outside"),
    ("shell-job", SWITCH, "with a terminal and a session that are the caller's"),
    ("file-locks", SWITCH, "with file locks"),
    ("manage-cgroups-mode", TEXT, 'what of cgroups comes along: "soft" (default), "full", "strict" or "ignore"'),
    ("empty-ns", LIST, 'namespace that is made without what is in it: "network", which always is'),
    ("auto-dedup", SWITCH, "punch holes into images for memory that is elsewhere"),
    ("lazy-pages", SWITCH, "fetch memory when it is needed, by userfaultfd"),
)

COMMAND = Command(
    "checkpoint",
    "save the processes of a container to files",
    "<container-id>",
    minimum=1,
    maximum=1,
    flags=(
        *CRIU_FLAGS,
        ("parent-path", TEXT, "folder of an earlier pre-dump's images, relative to --image-path"),
        ("leave-running", SWITCH, "let the container go on; otherwise it is deleted"),
        ("pre-dump", SWITCH, "save memory only, and let the container go on"),
        ("tcp-skip-in-flight", SWITCH, "pass over TCP connections that are being made"),
        ("link-remap", SWITCH, "give files without a name one, where that can be"),
        ("page-server", TEXT, "ADDRESS:PORT on which memory is served"),
        ("status-fd", NUMBER, "file descriptor that gets a zero byte once lazy pages are served"),
    ),
    details="""
CRIU (https://criu.org) does it: criu is looked for in PATH. "pyrunc restore" makes a container of the files.
""",
)
EMPTY_NAMESPACES = ("network",)


def run(context: Context, given: Given) -> int:
    from pyrunc import checkpoint

    warn_rootless(context, "checkpoint")
    options = criu_options(given)
    options.parent = given.text("parent-path")
    options.leave_running = given.switch("leave-running")
    options.pre_dump = given.switch("pre-dump")
    options.tcp_skip_in_flight = given.switch("tcp-skip-in-flight")
    options.link_remap = given.switch("link-remap")
    options.page_server = page_server(given.text("page-server"))
    options.status_fd = given.number("status-fd", -1)
    for warning in checkpoint.checkpoint(context.root, given.arguments[0], options):
        context.log.warning(warning)
    return 0


def criu_options(given: Given) -> CriuOptions:
    """The flags of CRIU_FLAGS as a value."""
    from pyrunc.sandbox.criu.options import CriuOptions

    for name in given.list("empty-ns"):
        if name not in EMPTY_NAMESPACES:
            raise PyruncError(f'namespace "{name}" is not supported', hint="only network is")
    return CriuOptions(
        images=given.text("image-path") or "checkpoint",
        work=given.text("work-path"),
        tcp_established=given.switch("tcp-established"),
        ext_unix_sk=given.switch("ext-unix-sk"),
        shell_job=given.switch("shell-job"),
        file_locks=given.switch("file-locks"),
        auto_dedup=given.switch("auto-dedup"),
        lazy_pages=given.switch("lazy-pages"),
        cgroups_mode=given.text("manage-cgroups-mode"),
    )


def page_server(text: str) -> tuple[str, int] | None:
    """ADDRESS:PORT; an IPv6 address stands in brackets."""
    if not text:
        return None
    address, _, port = text.rpartition(":")
    if address.startswith("["):
        address = address[1:].removesuffix("]")
    elif ":" in address:
        address = ""
    if not address or not port:
        raise PyruncError("Use --page-server ADDRESS:PORT to specify page server")
    if not port.isdecimal() or int(port) > 65535:
        raise PyruncError("Invalid port number")
    return address, int(port)


def warn_rootless(context: Context, name: str) -> None:
    from pyrunc.store import in_user_namespace

    if os.geteuid() != 0 or in_user_namespace():
        context.log.warning(f"{name} is untested with rootless containers")
