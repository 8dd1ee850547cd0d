"""What a caller may ask for besides the bundle: the options of create, run and exec.

Plain data; must decide nothing but whether two options contradict each other.
"""

from __future__ import annotations

from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class CreateOptions:
    """Options of `create` and `run`. Paths are as the caller gave them, relative to its own working folder."""

    __slots__ = (
        "bundle",
        "cgroup_manager",
        "config",
        "console_socket",
        "detach",
        "keep",
        "no_new_keyring",
        "no_pivot",
        "no_subreaper",
        "pid_file",
        "pidfd_socket",
        "preserve_fds",
        "rootless",
        "trace",
        "warn",
    )

    def __init__(
        self,
        *,
        bundle: str = ".",
        config: str = "",  # a document to take instead of the bundle's config.json
        console_socket: str = "",
        pidfd_socket: str = "",
        pid_file: str = "",
        no_pivot: bool = False,
        no_new_keyring: bool = False,
        preserve_fds: int = 0,  # how many from 3 on; those of LISTEN_FDS come before them
        detach: bool = False,  # `run` only, as are `keep` and `no_subreaper`
        keep: bool = False,
        no_subreaper: bool = False,
        cgroup_manager: str = "cgroupfs",  # or systemd, which makes the cgroup then, or disabled: none is made
        rootless: str = "auto",  # "true", "false" or "auto": pass over errors of cgroup permissions
        warn: Callable[[str], None] | None = None,  # gets a sentence on whatever was asked for and is left out
        trace: Callable[[str], None] | None = None,  # gets a sentence on each step
    ) -> None:
        self.bundle = bundle
        self.config = config
        self.console_socket = console_socket
        self.pid_file = pid_file
        self.pidfd_socket = pidfd_socket
        self.no_pivot = no_pivot
        self.no_new_keyring = no_new_keyring
        self.preserve_fds = preserve_fds
        self.detach = detach
        self.keep = keep
        self.no_subreaper = no_subreaper
        self.cgroup_manager = cgroup_manager
        self.rootless = rootless
        self.warn = warn
        self.trace = trace


class ExecOptions:
    """Options of `exec`. With `process_file` the whole process comes from there and `args` is empty.

    None means: as config.json has it. The terminal comes from `tty` (or from the process file), never from config.json.
    """

    __slots__ = (
        "additional_gids",
        "apparmor",
        "args",
        "caps",
        "cgroup",
        "console_socket",
        "cwd",
        "detach",
        "env",
        "ignore_paused",
        "no_new_privs",
        "no_subreaper",
        "pid_file",
        "pidfd_socket",
        "preserve_fds",
        "process_file",
        "process_label",
        "trace",
        "tty",
        "user",
    )

    def __init__(
        self,
        *,
        args: list[str] | None = None,
        process_file: str = "",
        cwd: str = "",
        env: list[str] | None = None,
        tty: bool = False,
        user: tuple[int, int | None] | None = None,  # uid, gid; a gid of None is left as it is
        additional_gids: list[int] | None = None,
        caps: list[str] | None = None,
        no_new_privs: bool | None = None,
        process_label: str = "",
        apparmor: str = "",
        detach: bool = False,
        pid_file: str = "",
        console_socket: str = "",
        pidfd_socket: str = "",
        preserve_fds: int = 0,
        cgroup: list[str] | None = None,  # `PATH`, or `CONTROLLER[,CONTROLLER]:PATH` on cgroup v1
        ignore_paused: bool = False,
        no_subreaper: bool = False,
        trace: Callable[[str], None] | None = None,  # gets a sentence on each step
    ) -> None:
        self.args = args or []
        self.process_file = process_file
        self.cwd = cwd
        self.env = env or []
        self.tty = tty
        self.user = user
        self.additional_gids = additional_gids or []
        self.caps = caps or []
        self.no_new_privs = no_new_privs
        self.process_label = process_label
        self.apparmor = apparmor
        self.detach = detach
        self.pid_file = pid_file
        self.pidfd_socket = pidfd_socket
        self.console_socket = console_socket
        self.preserve_fds = preserve_fds
        self.cgroup = cgroup or []
        self.ignore_paused = ignore_paused
        self.no_subreaper = no_subreaper
        self.trace = trace


def check_console(terminal: bool, detach: bool, console_socket: str) -> None:
    """Refuses a terminal that nobody would hold, and a console socket that nothing would be sent to.

    `detach` is true for `create`. Engines know these two texts, "runc" included.
    """
    if terminal and detach and not console_socket:
        raise PyruncError(
            "cannot allocate tty if runc will detach without setting console socket",
            hint="give --console-socket, or do without a terminal",
        )
    if console_socket and not (terminal and detach):
        raise PyruncError("cannot use console socket if runc will not detach or allocate tty")
