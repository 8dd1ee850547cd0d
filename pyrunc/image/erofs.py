"""A layer as an EROFS image: one file instead of thousands, which nobody can change.

mkfs.erofs (Debian's package erofs-utils) makes it of a layer that has been unpacked, so that what a layer may hold is
decided where it always is. Must never leave an image that this machine cannot mount.
"""

from __future__ import annotations

import subprocess

from pyrunc.image.bundle import is_rootless
from pyrunc.image.overlay import opened
from pyrunc.image.workplace import discard
from pyrunc.specs.errors import Failure

PROGRAM = "mkfs.erofs"
MISSING = "Debian's package erofs-utils has it; without --erofs layers are folders"


def check() -> None:
    """Raises where images cannot be made or mounted at all, before anything is unpacked."""
    if is_rootless():
        raise Failure("keep layers as EROFS images", number=1, hint="only root mounts them: leave out --erofs")
    _options()


def convert(folder: str, image: str, chain: str) -> None:
    """Makes IMAGE of FOLDER, which goes. The same layer makes the same image: its id is of the CHAIN ID."""
    uuid = "-".join((chain[:8], chain[8:12], chain[12:16], chain[16:20], chain[20:32]))
    done = _run("--quiet", "-U", uuid, *_options(), image, folder)
    if done.returncode:
        raise Failure(f"make an EROFS image of {folder}", detail=_last_line(done.stderr or done.stdout))
    with opened([image]):
        discard(folder)


def _options() -> list[str]:
    """Releases before 1.8 would give all files the time that is meant for the image."""
    return ["-T0", "--mkfs-time"] if "--mkfs-time" in _run("--help").stdout else []


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise Failure(f"run {PROGRAM}", number=error.errno or 0, hint=MISSING) from error


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
