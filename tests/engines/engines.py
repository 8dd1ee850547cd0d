"""Debian's engines in a place of theirs, with an image and the runtime to be tried below them. No tests here."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from . import image
from .place import Place, shown

# podman takes what a runtime can do from its name; without systemd there is no journal and no maker of cgroups.
CONTAINERS_CONF = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = ["crun", "runc", "pyrunc"]
runtime_supports_nocgroup = ["crun", "pyrunc"]
[containers]
log_driver = "k8s-file"
"""


class Engines:
    """A place with engines in it, the runtime and the image that tests give them."""

    def __init__(self, where: Place, files: Path) -> None:
        self.place = where
        self.archive = str(files / "image.tar")
        self.runtime = self.path(os.environ.get("PYRUNC_RUNTIME") or str(Path(sys.executable).parent / "pyrunc"))

    def path(self, program: str) -> str:
        """Where a program is in the place."""
        return self.ends(0, "sh", "-c", f"command -v {program}").strip()

    def ends(self, code: int, *command: str, user: bool = False) -> str:
        """What a command said that ended with this exit code."""
        ended, said = self.place.run(*command, user=user)
        assert ended == code, f"{' '.join(command)} ended with {ended}, not {code}:\n{said}"
        return said

    def prints(self, expression: str, *command: str, user: bool = False) -> str:
        """What a command said that succeeded and printed a line like this."""
        said = self.ends(0, *command, user=user)
        assert re.search(expression, said, re.MULTILINE), f"{' '.join(command)}: no line like {expression}:\n{said}"
        return said

    @contextlib.contextmanager
    def daemon(self, command: list[str], ask: list[str], log: Path) -> Iterator[None]:
        """A daemon that runs meanwhile; `ask` succeeds once it is ready."""
        process = self.place.start(command, log)
        try:
            for _ in range(300):
                if process.poll() is not None or self.place.run(*ask)[0] == 0:
                    break
                time.sleep(0.1)
            assert process.poll() is None, f"{command[0]} ended: {log.read_text()[-2000:]}"
            self.ends(0, *ask)
            yield
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def engines_in(system: Path, tree: Path, files: Path) -> Iterator[Engines]:
    """Engines of this system; `files` is an empty folder, shown in the place with the image in it."""
    files.chmod(0o755)
    image.write(files / "image.tar", system / "bin/busybox")
    (files / "containers.conf").write_text(CONTAINERS_CONF)
    where = Place(system, [*shown(tree), files], {"CONTAINERS_CONF": str(files / "containers.conf")})
    try:
        yield Engines(where, files)
    finally:
        where.close()
