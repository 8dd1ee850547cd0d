"""`pyrunc restore`: makes a container of saved processes."""

from __future__ import annotations

from pyrunc.cli.checkpoint import CRIU_FLAGS, criu_options, warn_rootless
from pyrunc.cli.create import real_folder
from pyrunc.cli.options import SWITCH, TEXT, Command
from pyrunc.options import CreateOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.cli.context import Context
    from pyrunc.cli.options import Given

COMMAND = Command(
    "restore",
    "make a container of saved processes",
    "<container-id>",
    minimum=1,
    maximum=1,
    flags=(
        ("bundle, b", TEXT, "folder of the bundle (default: the current one)"),
        ("detach, d", SWITCH, "do not wait for the container's end"),
        ("console-socket", TEXT, "AF_UNIX socket that gets the master side of the container's terminal"),
        ("pid-file", TEXT, "file to write the process id to"),
        ("no-subreaper", SWITCH, "leave orphans of the container to somebody else"),
        ("no-pivot", SWITCH, "as for create; CRIU has its own way"),
        *CRIU_FLAGS,
        ("lsm-profile", TEXT, "TYPE:NAME, AppArmor profile or SELinux label in place of the saved one"),
        ("lsm-mount-context", TEXT, "SELinux context of mounts in place of the saved one"),
    ),
    details="""
<container-id> is the name of the new container. Its bundle has to be the one of the checkpoint, or one like it.
CRIU (https://criu.org) does it: criu is looked for in PATH.
""",
)


def run(context: Context, given: Given) -> int:
    from pyrunc import restore

    warn_rootless(context, "restore")
    criu = criu_options(given)
    criu.lsm_profile = given.text("lsm-profile")
    criu.lsm_mount_context = given.text("lsm-mount-context")
    options = CreateOptions(
        bundle=real_folder(given.text("bundle") or "."),
        console_socket=given.text("console-socket"),
        pid_file=given.text("pid-file"),
        no_pivot=given.switch("no-pivot"),
        detach=given.switch("detach"),
        no_subreaper=given.switch("no-subreaper"),
        cgroup_manager=context.cgroup_manager,
        rootless=context.rootless,
        warn=context.log.warning,
    )
    return restore.restore(context.root, given.arguments[0], options, criu)
