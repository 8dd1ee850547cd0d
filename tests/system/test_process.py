"""The process of a container: program, environment, identity, limits, and what it inherits."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from .box import Box
from .conftest import Bundle


def test_arguments(bundle: Bundle) -> None:
    """Arguments arrive as they are: empty ones, spaces, quotes, newlines, beyond ASCII."""
    words = ["", "a b", '"', "'", "\n", "\u00e9\U0001f600", "$HOME", "-x"]
    box = bundle("sh", "-c", 'for word; do echo "<$word>"; done', "sh", *words)

    assert box.run().out == "".join(f"<{word}>\n" for word in words)


def test_argv0(bundle: Bundle) -> None:
    """args[0] is what the process sees as its own name, not the path that was found."""
    box = bundle("cat", "/proc/self/cmdline")

    assert box.run().out == "cat\0/proc/self/cmdline\0"


def test_environment(bundle: Bundle) -> None:
    """The environment is exactly the listed one, and HOME; nothing of the caller's gets in."""
    box = bundle("env")
    box.process["env"] = ["PATH=/bin", "EMPTY=", "NEWLINE=a\nb", "EQUALS=a=b"]
    box.write()

    result = box.runtime("run", "--bundle", str(box.folder), box.id, env={"SECRET": "caller"})

    assert sorted(result.out.split("\n")) == sorted(
        "PATH=/bin\nEMPTY=\nNEWLINE=a\nb\nEQUALS=a=b\nHOME=/root\n".split("\n")
    )


@pytest.mark.unlike("crun", "keeps both")
def test_environment_twice(bundle: Bundle) -> None:
    """The last of two entries with one name counts."""
    box = bundle("env")
    box.process["env"] = ["PATH=/bin", "A=1", "B=2", "A=3"]

    lines = box.run().lines

    assert [line for line in lines if line.startswith("A=")] == ["A=3"]


def test_home(bundle: Bundle) -> None:
    """HOME comes from the container's /etc/passwd, `/` for users it does not know, and stays where it is set."""
    homes = []
    for uid, extra in ((0, []), (1000, []), (4242, []), (1000, ["HOME=/mine"])):
        box = bundle("sh", "-c", "echo $HOME")
        box.process["user"] = {"uid": uid, "gid": uid}
        box.process["env"] += extra
        homes.append(box.run().out.strip())

    assert homes == ["/root", "/home/alice", "/", "/mine"]


def test_path_lookup(bundle: Bundle) -> None:
    """A program without a slash is looked for in the container's PATH, in order."""
    box = bundle("tool")
    for folder, word in (("first", "one"), ("second", "two")):
        (box.rootfs / folder).mkdir()
        (box.rootfs / folder / "tool").write_text(f"#!/bin/sh\necho {word}\n")
        (box.rootfs / folder / "tool").chmod(0o755)
    (box.rootfs / "first/tool").chmod(0o644)
    box.process["env"] = ["PATH=/nowhere:/first:/second"]

    assert box.run().out == "two\n"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["nothing-like-it"], 'exec: "nothing-like-it": executable file not found in $PATH'),
        (["/nothing"], 'exec: "/nothing": stat /nothing: no such file or directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
        (["/etc"], 'exec: "/etc": '),
    ],
)
def test_program_missing(bundle: Bundle, args: list[str], text: str) -> None:
    """A program that cannot be run is an error of create already, in the words that engines turn into 127 and 126."""
    box = bundle(*args)

    result = box.create()

    assert result.status == 1
    if box.runtime.kind != "crun":
        assert text in result.err.replace("\\", "")
    assert not box.runtime("state", box.id).ok


def test_exit_code(bundle: Bundle) -> None:
    """`run` ends with the exit code of the container's process."""
    assert [bundle("sh", "-c", f"exit {code}").run().status for code in (0, 1, 42, 255)] == [0, 1, 42, 255]


def test_exit_by_signal(bundle: Bundle) -> None:
    """A process ended by signal N makes it 128 + N."""
    box = bundle()
    box.without_namespace("pid")  # a first process of its own namespace cannot signal itself to death

    assert box.sh("kill -TERM $$").run().status == 128 + 15
    assert box.sh("kill -KILL $$").run().status == 128 + 9


@pytest.mark.unlike("crun", "accepts it")
def test_no_arguments(bundle: Bundle) -> None:
    """A process without args is an error."""
    box = bundle()
    box.process["args"] = []

    result = box.run()

    assert result.status == 1
    assert "args must not be empty" in result.err


@pytest.mark.unlike("crun", "starts it in the root")
def test_relative_cwd(bundle: Bundle) -> None:
    """cwd has to be absolute."""
    box = bundle("true")
    box.process["cwd"] = "tmp"

    result = box.run()

    assert result.status == 1
    assert "Cwd must be an absolute path" in result.err


def test_cwd(bundle: Bundle) -> None:
    """The process starts in cwd, which is made when it is missing."""
    box = bundle("pwd")
    box.process["cwd"] = "/made/for/it"

    assert box.run().out == "/made/for/it\n"
    assert (box.rootfs / "made/for/it").is_dir()


def test_cwd_of_user(bundle: Bundle) -> None:
    """A cwd that only the process's own user may enter works, also without CAP_DAC_OVERRIDE."""
    box = bundle("pwd")
    private = box.rootfs / "private"
    private.mkdir(mode=0o700)
    os.chown(private, 1000, 1000)
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.process["cwd"] = "/private"

    assert box.run().out == "/private\n"


def test_user(bundle: Bundle) -> None:
    """uid, gid and the additional groups are exactly those asked for; a group twice is there once."""
    box = bundle("sh", "-c", "grep -E '^(Uid|Gid|Groups)' /proc/self/status")
    box.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 29, 29]}

    rows = {line.split(":")[0]: line.split()[1:] for line in box.run().lines}

    assert rows["Uid"] == ["1000"] * 4
    assert rows["Gid"] == ["1001"] * 4
    assert set(rows["Groups"]) == {"5", "29"}


def test_no_groups_of_the_caller(bundle: Bundle) -> None:
    """Without additionalGids the process has no supplementary group of the caller's."""
    box = bundle("sh", "-c", "grep ^Groups /proc/self/status")

    assert set(box.run().out.split()[1:]) <= {"0"}


def test_umask(bundle: Bundle) -> None:
    """user.umask is the process's umask; without it, it is 0022."""
    box = bundle("sh", "-c", "umask")
    assert box.run().out.strip() == "0022"
    box.process["user"]["umask"] = 0o077

    assert box.run().out.strip() == "0077"


def test_no_fds(bundle: Bundle, probe: Path) -> None:
    """Only stdin, stdout and stderr are open in the container, whatever the caller left open."""
    box = bundle("/probe", "fds")
    os.link(probe, box.rootfs / "probe")
    folder = os.open("/", os.O_RDONLY)
    result = box.run(pass_fds=[folder])
    os.close(folder)

    assert [line.split()[0] for line in result.lines] == ["0", "1", "2"], result


def test_preserve_fds(bundle: Bundle, probe: Path, tmp_path: Path) -> None:
    """--preserve-fds N hands on the N fds after stderr, as they are."""
    box = bundle("sh", "-c", "cat <&3; cat <&4; /probe fds")
    os.link(probe, box.rootfs / "probe")
    (tmp_path / "a").write_text("first\n")
    (tmp_path / "b").write_text("second\n")
    shell = f'exec 3<{tmp_path}/a 4<{tmp_path}/b 5<{tmp_path}/b; exec "$@"'

    with box.runtime.below("sh", "-c", shell, "sh"):
        result = box.run("--preserve-fds", "2")

    assert result.lines[:2] == ["first", "second"], result
    assert [line.split()[0] for line in result.lines[2:]] == ["0", "1", "2", "3", "4"]


def test_stdio_passes_through(bundle: Bundle) -> None:
    """Without a terminal stdin, stdout and stderr are the caller's own, to the last byte."""
    box = bundle("sh", "-c", "cat; echo wrong >&2")

    result = box.run(stdin="first\nlast without newline")

    assert result.out == "first\nlast without newline"
    assert result.err == "wrong\n"


def test_null_is_the_containers(bundle: Bundle) -> None:
    """An inherited /dev/null becomes the container's own, not a way to the host's."""
    box = bundle("sh", "-c", "stat -L -c '%d' /proc/self/fd/0 /dev/null")

    assert box.run_detached().ok
    box.wait("stopped")

    lines = box.printed.splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]


def test_personality(bundle: Bundle) -> None:
    """personality LINUX32 changes what uname says."""
    box = bundle("uname", "-m")
    native = os.uname().machine
    if native != "x86_64":
        pytest.skip("x86_64 alone")
    box.linux["personality"] = {"domain": "LINUX32"}

    assert box.run().out == "i686\n"


def test_scheduler(bundle: Bundle) -> None:
    """scheduler and ioPriority are those of the process."""
    box = bundle("sh", "-c", "cut -d' ' -f19,41 /proc/self/stat")
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}

    assert box.run().out == "7 3\n"


def test_run_is_quick_to_end(bundle: Bundle) -> None:
    """A foreground run ends when its process ends, not at some next tick."""
    box = bundle("true")
    box.run()
    start = time.monotonic()

    box.run()

    assert time.monotonic() - start < 1


def listening(box: Box, pid: str) -> str:
    """What the container's shell sees of one inherited descriptor, announced for the process `pid` ($$: ours)."""
    box.write()
    command = [*box.runtime.argv("run", "--bundle", str(box.folder)), box.id]
    script = f'LISTEN_FDS=1 LISTEN_PID={pid} exec "$@" 3</dev/zero'
    done = subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sockets_of_the_service_manager(bundle: Bundle) -> None:
    """LISTEN_FDS descriptors are handed on, and the process is told that they are its own."""
    script = "echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3"

    assert listening(bundle("sh", "-c", script), "$$").split()[:2] == ["1", "1"]


@pytest.mark.unlike("crun", "does not look at LISTEN_PID")
def test_sockets_for_somebody_else(bundle: Bundle) -> None:
    """What LISTEN_PID says is another process's is not handed on."""
    seen = listening(bundle("sh", "-c", "echo x$LISTEN_FDS; ls /proc/self/fd"), "1")

    assert seen.split() == ["x", "0", "1", "2", "3"]  # the last is the folder that ls reads
