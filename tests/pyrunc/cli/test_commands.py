"""Every command as its callers see it: streams, exit codes, texts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pyrunc.cli import COMMANDS
from pyrunc.version import VERSION

from ..command import Pyrunc
from ..conftest import Keep, Sleeper
from .test_bundles import DOCUMENT

WITH_ID = ["checkpoint", "delete", "exec", "kill", "pause", "ps", "resume", "start", "state", "update"]

# -- help, version, what is not there --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help(pyrunc: Pyrunc, command: str) -> None:
    """Each command has a help, to be had in three ways, on standard output, exit code 0."""
    shown = pyrunc(command, "--help")

    assert (shown.code, shown.err) == (0, "")
    assert f"USAGE:\n   pyrunc {command}" in shown.out
    assert pyrunc("help", command).out == pyrunc(command, "-h").out == shown.out


def test_program_help(pyrunc: Pyrunc) -> None:
    """pyrunc alone, with help or --help names all commands."""
    shown = pyrunc.bare("--help")

    assert (shown.code, shown.err) == (0, "")
    assert all(f"   {command} " in shown.out for command in COMMANDS)
    assert pyrunc.bare().out == pyrunc.bare("help").out == pyrunc.bare("-h").out == shown.out


@pytest.mark.parametrize("flag", ["--version", "-v", "-version"])
def test_version(pyrunc: Pyrunc, flag: str) -> None:
    """The first line names program and version; the specification's version follows."""
    done = pyrunc.bare(flag)
    lines = done.out.splitlines()

    assert (done.code, done.err) == (0, "")
    assert lines[0] == f"pyrunc version {VERSION}"
    assert lines[-1] == "spec: 1.3.0"


@pytest.mark.parametrize("line", [["frobnicate"], ["help", "frobnicate"], ["frobnicate", "--help"]])
def test_unknown_command(pyrunc: Pyrunc, line: list[str]) -> None:
    """An unknown command is told in the words that engines know."""
    done = pyrunc(*line)

    assert (done.code, done.out) == (1, "")
    assert done.says("No help topic for 'frobnicate'")


@pytest.mark.parametrize("line", [[], ["--flag"], ["box", "--flag"]])
def test_usage(pyrunc: Pyrunc, line: list[str]) -> None:
    """A command line that is wrong gets the help on standard output, and the record on standard error."""
    done = pyrunc("state", *line)

    assert done.code == 1
    assert done.out.startswith("Incorrect Usage")
    assert "USAGE:\n   pyrunc state <container-id>" in done.out
    assert done.says(
        "flag provided but not defined: -flag" if line else 'pyrunc: "state" requires exactly 1 argument(s)'
    )


def test_usage_of_global_flags(pyrunc: Pyrunc) -> None:
    """The same before the command, with the help of pyrunc itself."""
    done = pyrunc("list", globals=("--bogus",))

    assert done.out.startswith("Incorrect Usage: flag provided but not defined: -bogus\n\nNAME:\n   pyrunc - ")
    assert done.says("flag provided but not defined: -bogus")


# -- global flags ----------------------------------------------------------------------------------------------------


def test_root(pyrunc: Pyrunc, keep: Keep) -> None:
    """--root may be relative to the caller's folder, and is not /."""
    keep("box", pid=1, start=1)

    assert pyrunc.bare("--root", "root", "list", "-q").out == "box\n"
    assert pyrunc.bare("-root=./x/../root/", "list", "-q").out == "box\n"
    for path in ("/", "//", "/..", "/a/.."):
        assert pyrunc.bare("--root", path, "list").says("Option --root argument should not be set to /")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run box", "JSON specification file config.json not found"),
        ("plan", "JSON specification file config.json not found"),
        ("spec", "cannot write config.json: ENOENT"),
        ("image unpack oci:a b", "the working folder has been removed"),
        ("image gc --store s", "the working folder has been removed"),
    ],
)
def test_no_working_folder(pyrunc: Pyrunc, line: str, message: str) -> None:
    """In a working folder that has been removed a command fails with one error."""
    pyrunc.folder /= "gone"
    pyrunc.folder.mkdir()
    done = pyrunc.bare(*line.split(), remove=True)

    assert done.code == 1 and message in done.err, done
    assert (done.err.count("level=error"), done.err.count("Error:")) == (1, 0)


def test_rootless(pyrunc: Pyrunc) -> None:
    """--rootless has three values."""
    pyrunc.root.mkdir()
    for value in ("true", "false", "auto"):
        assert pyrunc("list", globals=(f"--rootless={value}",)).code == 0
    assert pyrunc("list", globals=("--rootless", "maybe")).says("invalid value for --rootless: maybe")


# -- errors that every command has -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", WITH_ID)
@pytest.mark.parametrize(
    ("id", "message"),
    [("box", "container does not exist"), ("", "container id cannot be empty"), ("a/b", "invalid container ID format")],
)
def test_wrong_ids(pyrunc: Pyrunc, command: str, id: str, message: str) -> None:
    """No container, no id, a bad id: runc's texts and exit codes for every command."""
    line = [command, id, "true"] if command == "exec" else [command, id]
    done = pyrunc(*line)

    assert done.code == (255 if command == "exec" else 1)
    assert done.out == ""
    assert done.says(("exec failed: " if command == "exec" else "") + message)


@pytest.mark.parametrize("command", ["create", "run"])
def test_create_errors(pyrunc: Pyrunc, keep: Keep, tmp_path: Path, command: str) -> None:
    """Making a container fails with its prefix, and leaves nothing."""
    prefix = f"pyrunc {command} failed: "
    missing = f"{prefix}cannot open the bundle /nowhere: ENOENT: no such file or directory"
    assert pyrunc(command, "-b", "/nowhere", "box").says(missing)
    assert pyrunc(command, "box").says(f"{prefix}JSON specification file config.json not found")
    assert pyrunc(command, "--preserve-fds=-1", "box").says(f"{prefix}invalid value for --preserve-fds: -1")
    assert not pyrunc.root.exists()

    (tmp_path / "rootfs").mkdir()
    (tmp_path / "config.json").write_text("null")
    assert pyrunc(command, "box").says(f"{prefix}config cannot be null")
    (tmp_path / "config.json").write_text(json.dumps(DOCUMENT))
    assert pyrunc(command, "").says(f"{prefix}container id cannot be empty")
    assert pyrunc(command, "a b").says(f"{prefix}invalid container ID format")
    keep("box", pid=1, start=1)
    assert pyrunc(command, "box").says(f"{prefix}container with given ID already exists")
    assert set(os.listdir(pyrunc.root)) == {"box", ".@failures"}  # the latter is for `explain`, see failed.py


# -- state and list --------------------------------------------------------------------------------------------------


def test_state(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """The state is JSON alone on standard output, with what cri-o, buildah and BuildKit read."""
    process = sleeper()
    record = keep("box", process, annotations='{"a": "b"}')
    done = pyrunc("state", "box")

    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        "ociVersion": "1.3.0",
        "id": "box",
        "pid": process.pid,
        "status": "running",
        "bundle": "/srv/box",
        "rootfs": "/srv/box/rootfs",
        "created": record.created,
        "annotations": {"a": "b"},
        "owner": "",
    }


def test_list_json(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """The JSON list has one state a container, with its owner; no container is null, as Go has it."""
    pyrunc.root.mkdir()
    assert pyrunc("list", "--format", "json").out == "null\n"
    process = sleeper()
    keep("b", process)
    keep("a", pid=1, start=1)
    listed = json.loads(pyrunc("list", "-f", "json").out)

    assert [(one["id"], one["status"], one["pid"]) for one in listed] == [
        ("a", "stopped", 0),
        ("b", "running", process.pid),
    ]
    assert listed[0]["owner"] == subprocess.check_output(["id", "-un"], text=True).strip()


def test_list_of_a_folder_that_is_not_there(pyrunc: Pyrunc) -> None:
    """A root folder that the caller names has to be there; the one by default need not be, for nobody made it yet."""
    assert pyrunc("list").says(f"cannot list {pyrunc.root}: ENOENT: no such file or directory")


def test_list_table(pyrunc: Pyrunc, keep: Keep) -> None:
    """The table has aligned columns, with runc's names; --quiet leaves the ids."""
    pyrunc.root.mkdir()
    header = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
    assert pyrunc("list").out == header
    record = keep("a-long-name-for-a-box", pid=1, start=1)
    first, second = pyrunc("list").out.splitlines()

    assert first.split() == header.split()
    assert second.split()[:5] == ["a-long-name-for-a-box", "0", "stopped", "/srv/box", record.created]
    assert [first.index(name) for name in ("PID", "CREATED")] == [second.index(" 0 ") + 1, second.index(record.created)]
    assert pyrunc("list", "-q").out == "a-long-name-for-a-box\n"


@pytest.mark.parametrize("command", [["list"], ["ps"]])
def test_bad_format(pyrunc: Pyrunc, keep: Keep, command: list[str]) -> None:
    """A list comes as a table or as JSON."""
    assert pyrunc(*command, "--format", "xml", *(["box"] if command == ["ps"] else [])).says("invalid format option")


# -- ps, kill, delete, exec: what the command line adds --------------------------------------------------------------


def test_ps(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """ps shows what ps(1) shows of these processes, with the options that are handed on; JSON has the pids alone."""
    process = sleeper()
    keep("box", process)
    header, line = pyrunc("ps", "box").out.splitlines()
    assert header.split()[:2] == ["UID", "PID"]
    assert line.split()[1] == str(process.pid)

    assert pyrunc("ps", "box", "-o", "ppid,pid,args").out.splitlines()[1].split()[1:] == [
        str(process.pid),
        "sleep",
        "60",
    ]
    assert pyrunc("ps", "box", "-o", "args").says("couldn't find PID field in ps output")
    assert json.loads(pyrunc("ps", "--format", "json", "box").out) == [process.pid]


def test_kill(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """kill sends SIGTERM, or what it is told, and knows what it cannot send."""
    process = sleeper()
    keep("box", process)
    assert pyrunc("kill", "box", "FOO").says('unknown signal "FOO"')
    assert pyrunc("kill", "box", "0").code == 0
    done = pyrunc("kill", "box")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert process.wait(5) == -15
    assert pyrunc("kill", "box", "KILL").says("container not running")
    assert pyrunc("kill", "--all", "box", "KILL").code == 0


def test_delete(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """delete is silent, refuses what runs, and with --force does not."""
    keep("box", sleeper())
    assert pyrunc("delete", "box").says("cannot delete container box that is not stopped: running")
    done = pyrunc("delete", "box", "--force")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert pyrunc("delete", "-f", "box").code == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["box"], "exec args cannot be empty"),
        (["--user", "root", "box", "x"], 'invalid user or group id "root"'),
        (["--user", "1x", "box", "x"], 'invalid user or group id "1x"'),
        (["--user", "1:", "box", "x"], 'invalid user or group id ""'),
        (["--user", "-1", "box", "x"], 'invalid user or group id "-1"'),
        (["--user", "4294967295", "box", "x"], 'invalid user or group id "4294967295"'),
        (["--user", "99999999999999999999", "box", "x"], 'invalid user or group id "99999999999999999999"'),
        (["--user", "1: 2", "box", "x"], 'invalid user or group id " 2"'),
        (["-g", "wheel", "box", "x"], 'invalid user or group id "wheel"'),
        (["stopped", "x"], "cannot exec in a stopped container"),
    ],
)
def test_exec_errors(pyrunc: Pyrunc, keep: Keep, line: list[str], message: str) -> None:
    """exec that cannot be launched ends with 255 and its own prefix; ids are read strictly."""
    keep("stopped", pid=1, start=1)
    done = pyrunc("exec", *line)

    assert done.code == 255
    assert done.says(f"exec failed: {message}")


# -- start -----------------------------------------------------------------------------------------------------------


def test_start_errors(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """Only a created container can be started."""
    keep("stopped", pid=1, start=1)
    keep("running", sleeper())

    assert pyrunc("start", "stopped").says("cannot start a container that has stopped")
    assert pyrunc("start", "running").says("cannot start an already running container")


def test_report_start(pyrunc: Pyrunc, keep: Keep, sleeper: Sleeper) -> None:
    """The front in C hands the fields of a FAIL over; what failed is told from the container's steps."""
    keep("box", sleeper())
    Path(pyrunc.root, "box", "steps").write_text("6\t\twait_start\n7\thooks.startContainer[0]\trun hook /bin/nope\n")
    done = pyrunc("--report-start", "box", "7", "2", "0", "")

    assert done.code == 1
    assert "unable to start container process: " in done.err
    assert "hooks.startContainer[0]" in done.err
    assert "no such file or directory" in done.err
