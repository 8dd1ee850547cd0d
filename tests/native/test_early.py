"""The launcher that the front starts while Python loads (native/front/early.c)."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tells of its arguments, and keeps the launcher's socket until its standard input ends.
PYTHON = """#!/bin/sh
printf '%s\\0' "$@" end
read -r line
"""


@pytest.fixture
def installed(prefix: Path, build: dict, tmp_path: Path) -> Iterator[Path]:
    """The small installation with a real launcher in it."""
    copy = tmp_path / "prefix"
    shutil.copytree(prefix, copy)
    target = copy / "lib/python3.11/site-packages/pyrunc/sandbox/native/bin/launcher"
    target.parent.mkdir(parents=True)
    build["compile_program"](build["PROGRAMS"]["launcher"], str(target))
    (copy / "bin/python3.11").write_text(PYTHON)
    yield copy


def started(prefix: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    process = subprocess.Popen(
        [prefix / "bin/pyrunc", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    text = b""
    while b"\0end" not in text:  # not its end of file: the launcher has it open too
        text += os.read(process.stdout.fileno(), 65536)
    return process, text.decode().split("\0")[7]


@pytest.mark.parametrize("command", ["create", "run", "exec"])
def test_started_for_what_starts_a_process(installed: Path, command: str) -> None:
    """Python gets the control socket and the pid of a child that runs from a sealed memfd with an empty environment."""
    process, text = started(installed, "--root", "/nowhere", command, "box")
    try:
        assert re.fullmatch(r"\d+:\d+", text)
        fd, pid = text.split(":")
        status = Path(f"/proc/{pid}/status").read_text()
        deadline = time.monotonic() + 20  # Python may be there before the child has executed
        while "launcher" not in os.readlink(f"/proc/{pid}/exe") and time.monotonic() < deadline:
            time.sleep(0.01)

        assert f"PPid:\t{process.pid}\n" in status
        assert os.readlink(f"/proc/{pid}/exe").startswith("/memfd:pyrunc-launcher")
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
        assert os.readlink(f"/proc/{process.pid}/fd/{fd}").startswith("socket:")
        assert int(fd) >= 200, "where the caller's descriptors may be"
    finally:
        process.communicate(b"\n")


@pytest.mark.parametrize("command", ["list", "spec", "plan"])
def test_not_started_for_other_commands(installed: Path, command: str) -> None:
    """What starts no process pays for no launcher."""
    process, text = started(installed, command)
    process.communicate(b"\n")

    assert text == ""


def test_it_ends_with_its_socket(installed: Path) -> None:
    """A launcher that gets no plan ends when Python has ended, whatever that died of."""
    process, text = started(installed, "create", "box")
    pid = int(text.split(":")[1])
    watched = os.pidfd_open(pid)

    process.kill()
    process.communicate()

    import select

    assert select.select([watched], [], [], 5)[0]
    os.close(watched)


def test_descriptors_of_the_caller_stay(installed: Path) -> None:
    """A descriptor that the caller passes on is where it was, also number 3, where the launcher has its socket."""
    ours, theirs = socket.socketpair()
    script = f'exec 3<&{theirs.fileno()} {theirs.fileno()}<&-; exec "$0" create box'
    (installed / "bin/python3.11").write_text("#!/bin/sh\necho through >&3\n")
    subprocess.run(["/bin/bash", "-c", script, installed / "bin/pyrunc"], pass_fds=[theirs.fileno()], check=True)
    theirs.close()

    assert ours.recv(100) == b"through\n"
    ours.close()


def test_without_a_launcher_python_does_it(prefix: Path) -> None:
    """A launcher that cannot be started is no error of the front's."""
    result = subprocess.run([prefix / "bin/pyrunc", "create", "box"], capture_output=True, text=True)

    assert result.stdout.split("\0")[8:] == ["", "create", "box"]
