"""The front: its arguments, its log and `state`; what it answers byte for byte, and what it leaves to Python."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.native.conftest import MISSING, Box, Front, freezer, start_time

# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--version", "-version", "-v", "--v"])
def test_version(front: Front, flag: str) -> None:
    """The version is two lines, the first of which names the program."""
    assert front.run(flag).stdout == "pyrunc version 1.2.3\nspec: 1.3.0\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--root", "{}", "state", "box"]])
def test_output_that_cannot_be_written(front: Front, box: Box, arguments: list[str]) -> None:
    """A full disk is an error with its reason; a stream that the caller has closed is none, and no file of ours."""
    command = [front.program, *(word.format(box.root) for word in arguments)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&- <&-', "sh", *command], stderr=subprocess.PIPE, text=True)

    assert done.returncode == 1
    assert "cannot write to standard output: ENOSPC: no space left on device" in done.stderr
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize(
    "flags",
    [
        ["--root={}"],
        ["-root", "{}"],
        ["-root={}"],
        ["--debug", "--root", "{}", "--systemd-cgroup", "--rootless=true", "--log-format", "json"],
        ["--root", "/nowhere", "--root", "{}", "--rootless", "auto", "--log-format=text"],
    ],
)
def test_global_flags(front: Front, box: Box, flags: list[str]) -> None:
    """Global flags are understood in every spelling that Go allows; the last one of a kind counts."""
    result = front.run(*(flag.format(box.root) for flag in flags), "state", "box")

    assert json.loads(result.stdout)["pid"] == box.process.pid


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["list"],
        ["create", "--bundle", "/b", "box"],
        ["state"],
        ["state", "box", "more"],
        ["state", "--help"],
        ["state", "--", "box"],
        ["state", "../box"],
        ["state", ""],
        ["state", ".."],
        ["kill", "box", "KILL", "more"],
        ["kill", "--all", "box", "KILL"],
        ["delete", "--force=false", "box"],
        ["delete", "-x", "box"],
        ["--unknown", "state", "box"],
        ["--log-format", "xml", "state", "box"],
        ["--debug=false", "state", "box"],
        ["--log"],
        ["--version", "more"],
        ["--log", "/nowhere/log", "state", "box"],
        ["--cgroup-manager", "disabled", "state", "box"],
        ["exec", "box", "", "a b", "--flag", "täg\n"],
    ],
)
def test_unusual_arguments_go_to_python(front: Front, arguments: list[str]) -> None:
    """Whatever is not plain reaches Python with every argument as it came."""
    assert front.arguments_of(front.run(*arguments)) == arguments


def test_many_arguments_go_to_python(front: Front) -> None:
    """The number of arguments has no limit of the front's own."""
    arguments = ["exec", "box", *map(str, range(10000))]

    assert front.arguments_of(front.run(*arguments)) == arguments


def test_the_environment_is_untouched(front: Front) -> None:
    """Python and the container see the caller's variables, also strange ones."""
    program = Path(front.program).parent / "python3.11"
    before = program.read_text()
    program.write_text("#!/bin/sh\nexec /usr/bin/env -0\n")
    try:
        result = front.run("list", env={"PYTHONPATH": "/nowhere", "A": "b\nc", "PATH": "/bin"})
    finally:
        program.write_text(before)

    assert {"PYTHONPATH=/nowhere", "A=b\nc", "PATH=/bin"} <= set(result.stdout.split("\0"))


def test_default_root(front: Front, box: Box) -> None:
    """Without --root the machine's root looks in /run/pyrunc whatever XDG_RUNTIME_DIR says; anyone else there."""
    (box.root.parent / "pyrunc").symlink_to(box.root)
    environment = {"XDG_RUNTIME_DIR": str(box.root.parent)}
    found = front.run("state", "box", env=environment).returncode == 0

    assert found == (os.geteuid() != 0)


@pytest.mark.parametrize(("user", "found"), [("root", False), ("somebody", True), (None, True)])
def test_default_root_in_a_user_namespace(front: Front, box: Box, user: str | None, found: bool) -> None:
    """Root of a user namespace uses XDG_RUNTIME_DIR unless $USER says that it is root all the same."""
    (box.root.parent / "pyrunc").symlink_to(box.root)
    environment = {"XDG_RUNTIME_DIR": str(box.root.parent), "PATH": os.environ["PATH"]} | (
        {"USER": user} if user else {}
    )
    command = ["unshare", "--user", "--map-root-user", front.program, "state", "box"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if "unshare" in result.stderr:
        pytest.skip(result.stderr)

    assert (result.returncode == 0) == found


# -- log --------------------------------------------------------------------------------------------------------------


def test_errors_go_to_the_log_and_plainly_to_standard_error(front: Front, tmp_path: Path) -> None:
    """With --log the record is appended to the file, as text or JSON, and the message alone is on standard error."""
    log = tmp_path / "log"
    log.write_text("before\n")
    first = front("--log", str(log), "state", "nobody")
    second = front("--log", str(log), "--log-format", "json", "state", "nobody")
    lines = log.read_text().splitlines()

    assert first.returncode == second.returncode == 1
    assert first.stderr == second.stderr == MISSING + "\n"
    assert lines[0] == "before"
    assert re.fullmatch(rf'time="[^"]+" level=error msg="{MISSING}"', lines[1])
    record = json.loads(lines[2])
    assert (list(record), record["level"], record["msg"]) == (["level", "msg", "time"], "error", MISSING)
    assert datetime.datetime.fromisoformat(record["time"]).tzinfo


def test_nothing_is_logged_on_success(front: Front, tmp_path: Path) -> None:
    """Engines read the log as one object: it stays empty."""
    log = tmp_path / "log"
    front.ok("--log", str(log), "--debug", "state", "box")

    assert log.read_text() == ""


# -- state ------------------------------------------------------------------------------------------------------------


def test_state_of_a_running_container(front: Front, box: Box) -> None:
    """The JSON has runc's fields in runc's order and indentation, without a newline at the end."""
    expected = f"""{{
  "ociVersion": "1.3.0",
  "id": "box",
  "pid": {box.process.pid},
  "status": "running",
  "bundle": "/srv/box",
  "rootfs": "/srv/box/rootfs",
  "created": "2026-11-22T13:42:36.123456789Z",
  "owner": ""
}}"""

    assert front.ok("state", "box") == expected


@pytest.mark.parametrize("space", ["", " "])
def test_state_prints_annotations(front: Front, box: Box, space: str) -> None:
    """Annotations are printed one a line, whatever is inside the texts."""
    annotations = {"a": 'x, {"y": "z"}\\', "b:c": "", "tab\t": "ü"}
    text = json.dumps(annotations, separators=("," + space, ":" + space))
    box.write(annotations=text)
    expected = '  "annotations": ' + json.dumps(annotations, indent=2).replace("\n", "\n  ") + ',\n  "owner"'

    assert expected in front.ok("state", "box")


def test_state_without_annotations(front: Front, box: Box) -> None:
    """An empty object is the same as none."""
    box.write(annotations="{}")

    assert "annotations" not in front.ok("state", "box")


def test_stopped_when_the_process_has_gone(front: Front, box: Box) -> None:
    """A container whose process does not exist is stopped, and its pid is 0."""
    box.stop()
    state = json.loads(front.ok("state", "box"))

    assert (state["status"], state["pid"]) == ("stopped", 0)


def test_stopped_when_the_process_is_a_zombie(front: Front, box: Box) -> None:
    """A process that nobody has reaped yet does not live."""
    box.process.kill()
    os.waitid(os.P_PID, box.process.pid, os.WEXITED | os.WNOWAIT)

    assert json.loads(front.ok("state", "box"))["status"] == "stopped"


def test_stopped_when_the_pid_belongs_to_another_process(front: Front, box: Box) -> None:
    """A pid that has been given out again is told by its start time."""
    box.write(start=str(int(box.lines["start"]) + 1))

    assert json.loads(front.ok("state", "box"))["status"] == "stopped"


def test_a_program_may_have_any_name(front: Front, box: Box, tmp_path: Path) -> None:
    """A process's name in /proc/PID/stat cannot make it look dead or younger."""
    box.stop()
    program = tmp_path / "x) Z 1 1"
    program.symlink_to("/bin/sleep")
    box.process = subprocess.Popen([str(program), "1000"])
    box.write(pid=str(box.process.pid), start="1")
    assert json.loads(front.ok("state", "box"))["status"] == "stopped"
    box.write(start=str(start_time(box.process.pid)))

    assert json.loads(front.ok("state", "box"))["status"] == "running"


def test_created_while_start_sock_is_there(front: Front, box: Box) -> None:
    """start.sock is there exactly as long as the container waits for its start."""
    server = box.listen()
    assert json.loads(front.ok("state", "box"))["status"] == "created"
    server.close()
    os.unlink(server.path)

    assert json.loads(front.ok("state", "box"))["status"] == "running"


@pytest.mark.parametrize(
    ("version", "text", "status"),
    [("v2", "1\n", "paused"), ("v2", "0\n", "running"), ("v1", "FROZEN\n", "paused"), ("v1", "THAWED\n", "running")],
)
def test_paused_when_frozen(front: Front, box: Box, version: str, text: str, status: str) -> None:
    """The freezer's file decides between paused and running, for both versions of cgroups."""
    freezer(box, text, version)

    assert json.loads(front.ok("state", "box"))["status"] == status


def test_not_paused_when_the_cgroup_has_gone(front: Front, box: Box) -> None:
    """A freezer that is no longer there freezes nobody."""
    box.write(freezer="v2 /nowhere/cgroup.freeze")

    assert json.loads(front.ok("state", "box"))["status"] == "running"


def test_freezing_goes_to_python(front: Front, box: Box) -> None:
    """A v1 cgroup half way into the freezer is neither running nor paused."""
    freezer(box, "FREEZING\n", "v1")

    assert front.handed_over("state", "box")[-2:] == ["state", "box"]


def test_unknown_keys_are_passed_over(front: Front, box: Box) -> None:
    """A later pyrunc may say more without making its containers unreadable for this one."""
    box.write(colour="green and blue")

    assert json.loads(front.ok("state", "box"))["status"] == "running"


@pytest.mark.parametrize(
    "lines",
    [
        {"pid": "0"},
        {"pid": "-1"},
        {"pid": "12x"},
        {"pid": "99999999999999999999"},
        {"start": ""},
        {"owner": None},
        {"bundle": "unquoted"},
        {"annotations": "[]"},
        {"freezer": "v3 /x"},
        {"freezer": "v2 relative"},
        {"version": "2"},
    ],
)
def test_what_cannot_be_read_goes_to_python(front: Front, box: Box, lines: dict[str, str | None]) -> None:
    """A record of another version, half made or malformed is Python's, for every command."""
    box.write(**lines)  # type: ignore[arg-type]
    for command in ("state", "start", "kill", "delete"):
        assert front.handed_over(command, "box") == ["--root", front.root, command, "box"]
    assert box.process.poll() is None


@pytest.mark.parametrize("text", ["", "pyrunc-state 1", "\0" * 100, "pyrunc-state 1\n" + "x" * 70000 + " y\n"])
def test_a_broken_file_goes_to_python(front: Front, box: Box, text: str) -> None:
    """Empty, cut off, binary or huge."""
    (box.folder / "state").write_text(text)

    assert front.handed_over("state", "box")


def test_a_folder_without_state_goes_to_python(front: Front, box: Box) -> None:
    """A create that was killed early has left a folder only."""
    (box.folder / "state").unlink()

    assert front.handed_over("delete", "box")


def test_a_link_is_no_container(front: Front, box: Box) -> None:
    """A symbolic link in the root folder is not followed."""
    (box.root / "link").symlink_to("box")

    assert front.handed_over("state", "link")


@pytest.mark.parametrize("command", ["state", "start", "kill", "delete"])
def test_missing(front: Front, command: str) -> None:
    """A container that is not there is an error that engines know by its text."""
    assert front.error(command, "nobody") == MISSING


def test_missing_root(front: Front) -> None:
    """So is any container below a root folder that is not there."""
    assert front.run("--root", "/nowhere", "state", "box").stderr.endswith(f'msg="{MISSING}"\n')


def test_own_interpreter(build: dict, tmp_path: Path) -> None:
    """Commands go to our own interpreter, and to the ordinary one once that is newer, because an update may have mended
    it."""
    build["compile_program"](build["FRONT"], str(tmp_path / "bin/pyrunc"), {"PYRUNC_VERSION": "1", "PYRUNC_SPEC": "1"})
    package = tmp_path / "lib/python3.11/site-packages/pyrunc"
    (package / "cli").mkdir(parents=True)
    (package / "sandbox/native/bin").mkdir(parents=True)
    (tmp_path / "lib/python3.11/os.py").write_text("")
    ordinary, own = tmp_path / "bin/python3.11", package / "sandbox/native/bin/python3.11"
    for path in (ordinary, own):
        path.write_text(f"#!/bin/sh\necho {'own' if path == own else 'ordinary'} $0 $2\n")
        path.chmod(0o755)

    def asked(command: str) -> str:
        return subprocess.run([tmp_path / "bin/pyrunc", command], capture_output=True, text=True).stdout

    assert asked("run") == f"own {own} {tmp_path}\n"

    time.sleep(1.1)
    os.utime(ordinary)
    assert asked("run").startswith("ordinary")
