"""What a foreground `run` or `exec` becomes: this process executes the waiter in its own place, so that the container's
process stays its child and a megabyte waits instead of an interpreter (native/front/waiter.c has the contract)."""

from __future__ import annotations

import posix
import sys

from pyrunc.specs.errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def block_signals() -> None:
    """From here on signals wait for the waiter: none that comes early may be lost. The container gets an empty mask."""
    from _signal import SIG_BLOCK, SIG_DFL, SIGCHLD, pthread_sigmask, signal, valid_signals

    signal(SIGCHLD, SIG_DFL)  # ignored, it would leave no exit status to wait for
    pthread_sigmask(SIG_BLOCK, valid_signals())


def become_waiter(
    pid: int, master: int, subreaper: bool, folder: str = "", command: list[str] | None = None, notify: int = -1
) -> NoReturn:
    """Waits for child `pid` and exits as it does. `master`: its terminal or -1; `folder`: state folder of the container
    to delete at its end, `command`: what does so where it is not plain; `notify`: where the container says that it is
    ready, or -1. Raises Failure when the waiter cannot be executed."""
    from pyrunc.sandbox.launcher import native_program

    program = native_program("waiter")
    arguments = [program, "-p", str(pid)]
    if master >= 0:
        posix.set_inheritable(master, True)
        arguments += ["-t", str(master)]
    if notify >= 0:
        posix.set_inheritable(notify, True)
        arguments += ["-n", str(notify)]
    if subreaper:
        arguments.append("-s")
    if folder:
        arguments += ["-d", folder]
    if command:
        arguments += ["--", *command]
    if getattr(sys, "_pyrunc_hot", None) is False:  # the last chance: main does not come back
        from pyrunc.hot import refresh

        refresh()
    try:
        posix.execv(program, arguments)
    except OSError as error:
        raise Failure(
            f"execute the waiter {program}", number=error.errno or 0, hint="pip install pyrunc again"
        ) from None
    raise AssertionError("execv returned")


def delete_command(root: str, id: str) -> list[str]:
    """The command line of a `delete --force` by this same Python and package."""
    package = __file__.rpartition("/pyrunc/")[0]
    program = f"import sys; sys.path.append({package!r}); from pyrunc.cli import main; main()"
    paths = [item for item in sys.path if item.endswith(("site-packages", "dist-packages"))]
    if paths:
        program = (
            f"import sys; sys.path += {[*dict.fromkeys([package, *paths])]!r}; from pyrunc.cli import main; main()"
        )
    return [sys.executable, "-I", "-S", "-X", "utf8", "-c", program, "--root", root, "delete", "--force", id]
