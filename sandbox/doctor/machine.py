"""Where the doctor's answers come from: files, programs, the caller's environment, and the probe. Says what is there;
must not judge it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pyrunc.sandbox.cgroup.layout import read_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.cgroup.layout import Layout


class Machine:
    """This machine; for tests another one, whose files lie below `root`."""

    def __init__(
        self,
        root: str = "",
        *,
        euid: int | None = None,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        kernel: str = "",
        layout: Layout | None = None,
        tried: dict[str, int] | None = None,
        path: str | None = None,
    ) -> None:
        self.root = root
        self.euid = os.geteuid() if euid is None else euid
        self.user = user or user_name()
        self.environment = os.environ if environment is None else environment
        self.kernel = kernel or os.uname().release
        self.layout = layout or read_layout()
        self.tried = probe() if tried is None else tried
        self.path = path

    def read(self, path: str) -> str:
        """A file's text; "" when there is none or it cannot be read."""
        try:
            return Path(self.root + path).read_text(errors="replace").strip()
        except OSError:
            return ""

    def exists(self, path: str) -> bool:
        return Path(self.root + path).exists()

    def names(self, path: str) -> list[str]:
        """What a folder holds."""
        try:
            return sorted(os.listdir(self.root + path))
        except OSError:
            return []

    def program(self, name: str) -> str:
        """Where a program is, or ""."""
        search = self.path if self.path is not None else os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
        return shutil.which(name, path=search) or ""

    def complaint(self, program: str, *words: str) -> str:
        """The first thing that a program, which changes nothing, says is wrong; "" when it succeeds."""
        try:
            done = subprocess.run(
                [program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                timeout=30, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return lines[0] if done.returncode else ""

    def errno(self, name: str) -> int:
        """What the kernel said to a try of the probe; -1 when it was not made."""
        return self.tried.get(name, -1)


def user_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def probe() -> dict[str, int]:
    """What the kernel says to the tries; nothing when they could not be made."""
    program = str(Path(__file__).with_name("probe.py"))
    done = subprocess.run(
        [sys.executable, "-I", "-S", program], capture_output=True, text=True, timeout=30, check=False
    )
    try:
        found: dict[str, int] = json.loads(done.stdout)
    except ValueError:
        return {}
    return found
