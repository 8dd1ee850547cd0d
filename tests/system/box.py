"""A bundle and the one container made from it: the words in which the tests are written.

A `Box` writes config.json before each create or run, so a test edits `box.config` and then acts.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .document import Document, new_document, new_mount
from .runtime import Result, Runtime

APPLETS = (
    "sh cat chmod chown cp cut dd df echo env expr false find free grep head hostname id ifconfig ip kill ln ls "
    "mkdir mkfifo mknod mount mv nproc od ps pwd readlink rm rmdir sed setsid sleep sort stat stty tail test "
    "touch tr true tty umount uname usleep wc whoami"
).split()
FOLDERS = "bin dev etc proc root sys tmp usr".split()
MAP = {"containerID": 0, "hostID": 100000, "size": 65536}


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    """Whether something comes true within a time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def make_rootfs(rootfs: Path, busybox: Path) -> None:
    for name in FOLDERS:
        (rootfs / name).mkdir(parents=True)
    (rootfs / "tmp").chmod(0o1777)
    os.link(busybox, rootfs / "bin/busybox")
    for applet in APPLETS:
        (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
    (rootfs / "etc/group").write_text("root:x:0:\ntty:x:5:\nalice:x:1000:\naudio:x:29:alice\n")


class Box:
    def __init__(self, runtime: Runtime, folder: Path, identity: str, busybox: Path, args: tuple[str, ...]) -> None:
        self.runtime = runtime
        self.id = identity
        self.folder = folder / identity
        self.rootfs = self.folder / "rootfs"
        make_rootfs(self.rootfs, busybox)
        self.config: Document = new_document(list(args), f"/{identity}")
        self.output = self.folder / "output"
        self.errors = self.folder / "errors"

    # -- the document --------------------------------------------------------------------------------------------

    @property
    def process(self) -> Document:
        return self.config["process"]  # type: ignore[no-any-return]

    @property
    def linux(self) -> Document:
        return self.config["linux"]  # type: ignore[no-any-return]

    @property
    def cgroup(self) -> str:
        return self.linux["cgroupsPath"]  # type: ignore[no-any-return]

    def sh(self, script: str) -> Box:
        """The container's program is this shell script."""
        self.process["args"] = ["sh", "-c", script]
        return self

    def mount(self, destination: str, kind: str = "tmpfs", source: str | Path = "tmpfs", *options: str) -> None:
        self.config["mounts"].append(new_mount(destination, kind, str(source), list(options)))

    def bind(self, source: str | Path, destination: str, *options: str) -> None:
        self.mount(destination, "bind", source, "bind", *options)

    def without_mount(self, *destinations: str) -> None:
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] not in destinations]

    def namespace(self, kind: str, path: str | None = None) -> None:
        """A new namespace of this kind, or the one at `path`."""
        self.without_namespace(kind)
        self.linux["namespaces"].append({"type": kind, "path": path} if path else {"type": kind})

    def without_namespace(self, kind: str) -> None:
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != kind]

    def user_namespace(self) -> None:
        """Root of the container is host id 100000, and owns the rootfs."""
        self.namespace("user")
        self.linux["uidMappings"] = [dict(MAP)]
        self.linux["gidMappings"] = [dict(MAP)]
        for folder, folders, _ in os.walk(self.rootfs):
            for name in folders:  # not the files: busybox is one hard link for all boxes
                os.chown(os.path.join(folder, name), 100000, 100000, follow_symlinks=False)
        os.chown(self.rootfs, 100000, 100000)

    def capabilities(self, *names: str, inheritable: Iterable[str] = (), ambient: Iterable[str] = ()) -> None:
        sets: dict[str, list[str]] = {kind: list(names) for kind in ("bounding", "effective", "permitted")}
        self.process["capabilities"] = {**sets, "inheritable": list(inheritable), "ambient": list(ambient)}

    def write(self) -> None:
        (self.folder / "config.json").write_text(json.dumps(self.config, indent=1))

    # -- the container -------------------------------------------------------------------------------------------

    def run(self, *flags: str, stdin: str | None = None, pass_fds: Iterable[int] = ()) -> Result:
        """In the foreground, to its end."""
        self.write()
        return self.runtime("run", *flags, "--bundle", str(self.folder), self.id, stdin=stdin, pass_fds=pass_fds)

    def output_of(self, script: str) -> str:
        """What a shell script prints inside."""
        result = self.sh(script).run()
        assert result.ok, result
        return result.out.strip()

    def create(self, *flags: str, pass_fds: Iterable[int] = ()) -> Result:
        self.write()
        return self._outlived("create", *flags, "--bundle", str(self.folder), self.id, pass_fds=pass_fds)

    def run_detached(self, *flags: str) -> Result:
        self.write()
        return self._outlived("run", "--detach", *flags, "--bundle", str(self.folder), self.id)

    def _outlived(self, *args: str, pass_fds: Iterable[int] = ()) -> Result:
        return self.runtime.with_files(*args, output=self.output, errors=self.errors, pass_fds=pass_fds)

    def start(self) -> Result:
        return self.runtime("start", self.id)

    def up(self, script: str = "sleep 1000") -> Box:
        """A running container that does this."""
        result = self.sh(script).run_detached()
        assert result.ok, result
        return self

    def exec(
        self, *argv: str, flags: Iterable[str] = (), stdin: str | None = None, pass_fds: Iterable[int] = ()
    ) -> Result:
        return self.runtime("exec", *flags, self.id, *argv, stdin=stdin, pass_fds=pass_fds)

    def kill(self, *signal: str) -> Result:
        return self.runtime("kill", self.id, *signal)

    def delete(self, *flags: str) -> Result:
        return self.runtime("delete", *flags, self.id)

    def state(self) -> dict[str, Any]:
        result = self.runtime("state", self.id)
        assert result.ok, result
        return json.loads(result.out)  # type: ignore[no-any-return]

    @property
    def status(self) -> str:
        return self.state()["status"]  # type: ignore[no-any-return]

    @property
    def pid(self) -> int:
        return self.state()["pid"]  # type: ignore[no-any-return]

    def wait(self, status: str = "stopped") -> None:
        assert eventually(lambda: self.status == status), f"{self.id} is {self.status}, not {status}"

    @property
    def printed(self) -> str:
        """What a created or detached container has written to its standard output so far."""
        return self.output.read_text() if self.output.exists() else ""

    def wait_for(self, text: str) -> None:
        assert eventually(lambda: text in self.printed), f"no {text!r} in {self.printed!r}"
