"""The front and the waiter, compiled by setup.py's own rules, and state folders with real processes to try them on."""

from __future__ import annotations

import datetime
import os
import re
import runpy
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

GO, FAIL = 4, 5
MISSING = "container does not exist"

# Stands where Python would: says what it was given, so that a test sees a hand-over and its arguments.
PYTHON = """#!/bin/sh
printf 'PYTHON'
for argument; do printf '\\0%s' "$argument"; done
"""


@pytest.fixture(scope="session")
def build(tree: Path) -> dict[str, object]:
    """The names of setup.py."""
    return runpy.run_path(str(tree / "setup.py"))


@pytest.fixture(scope="session")
def prefix(tree: Path, build: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small installation: the front, its package and an interpreter that only tells of itself."""
    prefix = tmp_path_factory.mktemp("prefix")
    build["compile_program"](
        build["FRONT"], str(prefix / "bin/pyrunc"), {"PYRUNC_VERSION": "1.2.3", "PYRUNC_SPEC": "1.3.0"}
    )
    (prefix / "lib/python3.11/site-packages/pyrunc/cli").mkdir(parents=True)
    (prefix / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    (prefix / "bin/python3.11").write_text(PYTHON)
    (prefix / "bin/python3.11").chmod(0o755)
    return prefix


@pytest.fixture(scope="session")
def waiter(build: dict, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("waiter") / "waiter")
    build["compile_program"](build["PROGRAMS"]["waiter"], path)
    return path


def start_time(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


class Box:
    """A container's state folder with a real process, made by hand in the form that docs/architecture.md fixes."""

    def __init__(self, root: Path, id: str = "box") -> None:
        self.root, self.id = root, id
        self.folder = root / id
        self.folder.mkdir(mode=0o700)
        self.process = subprocess.Popen(["sleep", "1000"])
        self.lines = {
            "ociVersion": '"1.3.0"',
            "id": f'"{id}"',
            "pid": str(self.process.pid),
            "start": str(start_time(self.process.pid)),
            "bundle": '"/srv/box"',
            "rootfs": '"/srv/box/rootfs"',
            "created": '"2026-11-22T13:42:36.123456789Z"',
            "owner": '""',
        }
        self.cgroups: list[Path] = []
        (self.folder / "config.json").write_text("{}")
        self.write()

    def write(self, version: str = "1", **lines: str | None) -> None:
        self.lines.update({key: value for key, value in lines.items() if value is not None})
        for key in [key for key, value in lines.items() if value is None]:
            del self.lines[key]
        text = "".join(f"{key} {value}\n" for key, value in self.lines.items())
        text += "".join(f"cgroup {path}\n" for path in self.cgroups)
        (self.folder / "state").write_text(f"pyrunc-state {version}\n{text}")

    def listen(self, answer: bytes | None = b"") -> StartServer:
        """Makes the container `created`."""
        return StartServer(str(self.folder / "start.sock"), answer)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class StartServer:
    """What init does in `wait_start`: accepts until somebody sends GO, sends `answer` (a FAIL, or nothing as exec does)
    and closes; None: closes without reading, as an init that is killed."""

    def __init__(self, path: str, answer: bytes | None) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(path)
        self.socket.listen()
        self.path, self.answer = path, answer
        self.received = b""
        self.unlinked_before_go = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while not self.received:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return  # closed by the test
            with peer:
                if self.answer is None:
                    return
                self.received = peer.recv(4096)
                self.unlinked_before_go = not os.path.lexists(self.path)
                if self.received and self.answer:
                    peer.send(self.answer)

    def join(self) -> None:
        """Until the start has come."""
        self.thread.join(10)
        self.socket.close()

    def close(self) -> None:
        """Nobody listens any more."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.join()


class Front:
    """Runs the front and tells its own answers from hand-overs."""

    def __init__(self, prefix: Path, root: Path) -> None:
        self.program, self.root = str(prefix / "bin/pyrunc"), str(root)
        self.head = [str(prefix / "bin/python3.11"), "-I", "-S", "-X", "utf8", "-c"]

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, timeout=30, env=env, stdin=subprocess.DEVNULL
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("--root", self.root, *arguments)

    def ok(self, *arguments: str) -> str:
        result = self(*arguments)
        assert (result.returncode, result.stderr) == (0, "") and not result.stdout.startswith("PYTHON")
        return result.stdout

    def error(self, *arguments: str) -> str:
        """The message of the one text record on standard error."""
        result = self(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        record = re.fullmatch(r'time="([^"]+)" level=error msg="([^"]*)"\n', result.stderr)
        assert record
        assert datetime.datetime.fromisoformat(record[1]).tzinfo
        return record[2]

    def handed_over(self, *arguments: str) -> list[str]:
        """What Python is given after the program and sys.path."""
        return self.arguments_of(self(*arguments))

    def arguments_of(self, result: subprocess.CompletedProcess[str]) -> list[str]:
        words = result.stdout.split("\0")
        assert words[0] == "PYTHON", result
        assert words[1:6] == self.head[1:]
        assert words[8] == "", "a launcher, though none is installed here"
        return words[9:]


def freezer(box: Box, text: str, version: str = "v2") -> None:
    path = box.root.parent / "freezer"
    path.write_text(text)
    box.write(freezer=f"{version} {path}")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    (tmp_path / "root").mkdir()
    box = Box(tmp_path / "root")
    yield box
    if box.process.poll() is None:
        os.kill(box.process.pid, signal.SIGKILL)
        box.process.wait()


@pytest.fixture
def front(prefix: Path, box: Box) -> Front:
    return Front(prefix, box.root)
