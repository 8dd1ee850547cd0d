"""Unprivileged users for the tests: two ids, and the databases that say what they may.

The databases are put over those of the machine in the tests' own mount namespace, so the machine stays as it is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.system import host
from tests.system.box import Box
from tests.system.document import Document
from tests.system.runtime import ENVIRONMENT, TIMEOUT, Result, Runtime

FIRST_SUBID = 2_000_000_000
COUNT = 65_536


class User:
    """Somebody with a runtime of their own. `subids`: whether ids besides the own one may be mapped."""

    def __init__(self, name: str, uid: int, home: Path, subids: bool) -> None:
        self.name = name
        self.uid = uid
        self.home = home
        self.subids = subids
        home.mkdir(mode=0o700)
        own(home, uid)

    @property
    def argv(self) -> list[str]:
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--"]

    def __call__(
        self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str | None = None
    ) -> Result:
        """Runs a command as this user, to its end."""
        argv = [*self.argv, *command]
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, cwd=cwd or self.home, check=False,
            env={**ENVIRONMENT, **(env or {})}, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
        )  # fmt: skip
        return Result(argv, done.returncode, done.stdout, done.stderr)

    def maps(self) -> list[Document]:
        """Own id as root of the container, the subordinate ones above it."""
        maps = [{"containerID": 0, "hostID": self.uid, "size": 1}]
        if self.subids:
            maps.append({"containerID": 1, "hostID": FIRST_SUBID, "size": COUNT})
        return maps


def own(path: Path, uid: int) -> None:
    host.check(host.libc.lchown(str(path).encode(), uid, uid), f"chown {path}")


def install(folder: Path, users: Iterable[User]) -> None:
    """Makes the users known: all by name but those without subordinate ids, who are only a number."""
    known = [user for user in users if user.subids]
    subids = "".join(f"{user.name}:{FIRST_SUBID}:{COUNT}\n" for user in known)
    passwd = "".join(f"{user.name}:x:{user.uid}:{user.uid}::{user.home}:/bin/sh\n" for user in known)
    for name, text in (
        ("subuid", subids), ("subgid", subids), ("passwd", Path("/etc/passwd").read_text() + passwd),
    ):  # fmt: skip
        (folder / name).write_text(text)
        host.mount(str(folder / name), f"/etc/{name}", host.MS_BIND)


class UserBox(Box):
    """A bundle of a user's, with the document of `spec --rootless`."""

    def __init__(
        self, user: User, document: Document, runtime: Runtime, folder: Path, name: str, program: Path
    ) -> None:
        super().__init__(runtime, folder, name, program, ("true",))
        self.user = user
        self.config = document
        self.process["terminal"] = False
        self.config["root"]["readonly"] = False
        for path in [self.folder, *self.folder.rglob("*")]:
            if path.is_symlink() or not path.samefile(program):
                own(path, user.uid)

    def many_ids(self) -> None:
        """All that the user may map."""
        self.linux["uidMappings"] = self.user.maps()
        self.linux["gidMappings"] = self.user.maps()
