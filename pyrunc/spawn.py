"""Starts a program in a working folder of its own. posix_spawn(2) knows none, and the process's belongs to all its
threads, which are not ours alone: so a thread that has left the others' (unshare(2), CLONE_FS) goes there and spawns.
"""

from __future__ import annotations

import _thread
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CLONE_FS = 0x200


def spawn_in(
    folder: str, path: str, argv: list[str], env: dict[str, str], actions: list[Any], reset: tuple[int, ...]
) -> int:
    """The pid of the program, which has no signal blocked and those of `reset` as they are by default; raises OSError.
    Where the folder is gone it works in the caller's."""
    return elsewhere(
        folder,
        lambda: posix.posix_spawn(path, argv, env, file_actions=actions, setsigmask=(), setsigdef=reset),
    )


def elsewhere(folder: str, work: Callable[[], int]) -> int:
    """What `work` returns or raises, done by a thread in the folder."""
    results: list[int] = []
    errors: list[OSError] = []
    unshare = unshare_call()  # imports before there is a thread: the interpreter may not have finished its start
    done = _thread.allocate_lock()

    def thread() -> None:
        try:
            unshare(CLONE_FS)  # from here on this thread's working folder, root and umask are its own
            try:
                posix.chdir(folder)
            except OSError:
                pass
            results.append(work())
        except OSError as error:
            errors.append(error)
        finally:
            done.release()

    done.acquire()
    _thread.start_new_thread(thread, ())
    done.acquire()
    for error in errors:
        raise error
    return results[0]


def unshare_call() -> Callable[[int], None]:
    if sys.version_info >= (3, 12):
        return posix.unshare
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)

    def unshare(flags: int) -> None:
        if library.unshare(flags):
            raise OSError(ctypes.get_errno(), "unshare")

    return unshare
