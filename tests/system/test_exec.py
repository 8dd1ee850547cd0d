"""`exec`: another process in a running container, and what its flags change."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from . import host
from .box import eventually
from .conftest import Bundle
from .test_privileges import capability_sets, mask


def test_inside(bundle: Bundle) -> None:
    """The process is in every namespace, in the cgroup and in the root of the container."""
    box = bundle().up()
    kinds = ("pid", "net", "ipc", "uts", "mnt")

    result = box.exec(
        "sh",
        "-c",
        "for kind in pid net ipc uts mnt; do readlink /proc/self/ns/$kind; done; cat /proc/self/cgroup; hostname",
    )

    assert result.lines[:5] == [os.readlink(f"/proc/{box.pid}/ns/{kind}") for kind in kinds]
    assert box.id in result.out
    assert result.lines[-1] == "runc"


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_code(bundle: Bundle, code: int) -> None:
    """`exec` ends with the exit code of its process."""
    assert bundle().up().exec("sh", "-c", f"exit {code}").status == code


def test_exit_by_signal(bundle: Bundle) -> None:
    """A process ended by signal N makes it 128 + N."""
    assert bundle().up().exec("sh", "-c", "kill -TERM $$").status == 128 + 15


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("nothing-like-it", 'exec: "nothing-like-it": executable file not found in $PATH'),
        ("/nothing", 'exec: "/nothing": stat /nothing: no such file or directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_program_missing(bundle: Bundle, program: str, text: str) -> None:
    """A program that cannot be run makes 255, in the words that engines turn into 127 and 126."""
    result = bundle().up().exec(program)

    assert not result.ok
    if "crun" not in result.args[0]:
        assert result.status == 255
        assert "exec failed: " in result.err
        assert text in result.err.replace("\\", "")


@pytest.mark.unlike("crun", "starts in the root")
def test_defaults(bundle: Bundle) -> None:
    """Without flags, user, groups, environment, cwd, umask, capabilities and no_new_privs are those of the document."""
    box = bundle()
    box.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5], "umask": 0o027}
    box.process["env"] += ["A=b"]
    box.process["cwd"] = "/tmp"
    box.up()

    result = box.exec(
        "sh", "-c", "pwd; umask; echo $A $HOME; grep -E '^(Uid|Gid|Groups|NoNewPrivs|CapBnd)' /proc/self/status"
    )

    assert result.lines[:3] == ["/tmp", "0027", "b /home/alice"]
    rows = {line.split(":")[0]: line.split()[1:] for line in result.lines[3:]}
    assert (rows["Uid"][0], rows["Gid"][0], rows["Groups"], rows["NoNewPrivs"]) == ("1000", "1001", ["5"], ["1"])
    assert int(rows["CapBnd"][0], 16) == mask("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")


@pytest.mark.parametrize(
    ("user", "expected"), [("1000", ("1000", "0")), ("1000:1001", ("1000", "1001")), ("0:0", ("0", "0"))]
)
def test_user(bundle: Bundle, user: str, expected: tuple[str, str]) -> None:
    """--user sets the ids, and HOME follows it."""
    result = bundle().up().exec("sh", "-c", "id -u; id -g; echo $HOME", flags=["--user", user])

    assert tuple(result.lines[:2]) == expected
    assert result.lines[2] == ("/root" if expected[0] == "0" else "/home/alice")


@pytest.mark.unlike("crun", "takes what is before the letters")
@pytest.mark.parametrize("user", ["-1", "x", "1000:x", "4294967296"])
def test_bad_user(bundle: Bundle, user: str) -> None:
    """--user takes numbers that are ids, and nothing becomes root by mistake."""
    box = bundle().up()
    if box.runtime.kind == "runc" and user == "4294967296":
        pytest.skip("runc: becomes root")

    result = box.exec("id", "-u", flags=["--user", user])

    assert not result.ok
    assert "0" not in result.out


@pytest.mark.unlike("crun", "has no such flag")
def test_additional_groups(bundle: Bundle) -> None:
    """--additional-gids adds groups."""
    result = (
        bundle()
        .up()
        .exec("grep", "Groups", "/proc/self/status", flags=["--additional-gids", "29", "--additional-gids", "30"])
    )

    assert result.out.split()[1:] == ["29", "30"]


def test_environment(bundle: Bundle) -> None:
    """--env adds to the document's environment, and wins."""
    box = bundle()
    box.process["env"] += ["A=old", "B=kept"]
    box.up()

    result = box.exec("sh", "-c", "echo $A-$B-$C", flags=["--env", "A=new", "--env", "C=x y"])

    assert result.out == "new-kept-x y\n"


def test_cwd(bundle: Bundle) -> None:
    """--cwd is where it starts."""
    assert bundle().up().exec("pwd", flags=["--cwd", "/etc"]).out == "/etc\n"


def test_missing_cwd(bundle: Bundle) -> None:
    """A cwd that cannot be entered is an error, not another place."""
    result = bundle().up().exec("pwd", flags=["--cwd", "/etc/passwd"])

    assert not result.ok
    assert result.out == ""


@pytest.mark.unlike("crun", "adds it to the ambient set")
def test_capability(bundle: Bundle) -> None:
    """--cap adds to bounding, permitted and effective, never to inheritable."""
    box = bundle().up()

    got = capability_sets(box.exec("cat", "/proc/self/status", flags=["--cap", "CAP_NET_RAW"]).out)

    expected = mask("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW")
    assert got["bounding"] == got["permitted"] == got["effective"] == expected
    assert got["inheritable"] == got["ambient"] == 0
    assert capability_sets(box.exec("cat", "/proc/self/status").out)["effective"] == expected & ~mask("CAP_NET_RAW")


def test_no_new_privileges(bundle: Bundle) -> None:
    """--no-new-privs sets the bit where the document does not."""
    box = bundle()
    box.process["noNewPrivileges"] = False
    box.up()

    assert box.exec("grep", "NoNewPrivs", "/proc/self/status").out.split()[1] == "0"
    assert box.exec("grep", "NoNewPrivs", "/proc/self/status", flags=["--no-new-privs"]).out.split()[1] == "1"


def test_process_document(bundle: Bundle) -> None:
    """--process replaces the process of the document wholly."""
    box = bundle().up()
    document = {
        "args": ["sh", "-c", "id -u; pwd; echo $A"],
        "cwd": "/etc",
        "env": ["PATH=/bin", "A=b"],
        "user": {"uid": 1000, "gid": 1000},
    }
    path = box.folder / "process.json"
    path.write_text(json.dumps(document))

    result = box.runtime("exec", "--process", str(path), box.id)

    assert result.lines == ["1000", "/etc", "b"], result


def test_detached(bundle: Bundle) -> None:
    """--detach returns while the process lives on, and --pid-file says which it is."""
    box = bundle().up()
    path = box.folder / "pid"

    result = box.runtime.with_files(
        "exec",
        "--detach",
        "--pid-file",
        str(path),
        box.id,
        "sh",
        "-c",
        "echo up; exec sleep 500",
        output=box.output,
        errors=box.errors,
    )

    assert result.ok, result
    pid = int(path.read_text())
    assert eventually(lambda: "sleep" in host.command_line(pid))
    box.wait_for("up")
    assert host.parent(pid) == os.getpid()  # its parent ended: the subreaper has it
    assert [child for child in host.descendants(os.getpid()) if "exec" in host.command_line(child).split()] == []
    os.kill(pid, 9)
    os.waitpid(pid, 0)  # a pid namespace does not end before its last process is reaped


def test_parent(bundle: Bundle) -> None:
    """The process of a foreground exec is a child of the command that the caller started."""
    box = bundle().up()
    process = box.runtime.spawn("exec", "--pid-file", str(box.folder / "pid"), box.id, "sleep", "500")
    assert eventually((box.folder / "pid").exists)
    pid = int((box.folder / "pid").read_text())

    try:
        assert host.parent(pid) == process.pid
    finally:
        os.kill(pid, 9)
        process.communicate(timeout=10)
    assert process.returncode == 137


def test_stdio(bundle: Bundle) -> None:
    """stdin, stdout and stderr pass through."""
    result = bundle().up().exec("sh", "-c", "cat; echo wrong >&2", stdin="a\nb")

    assert (result.out, result.err) == ("a\nb", "wrong\n")


def test_no_fds(bundle: Bundle, probe: Path) -> None:
    """Only stdin, stdout and stderr are open, whatever the caller left open."""
    box = bundle()
    os.link(probe, box.rootfs / "probe")
    box.up()
    folder = os.open("/", os.O_RDONLY)

    result = box.exec("/probe", "fds", pass_fds=[folder])

    os.close(folder)
    assert [line.split()[0] for line in result.lines] == ["0", "1", "2"], result


def test_stopped(bundle: Bundle) -> None:
    """A stopped container takes no further process."""
    box = bundle("true")
    assert box.run_detached().ok
    box.wait("stopped")

    result = box.exec("true")

    assert not result.ok
    if box.runtime.kind != "crun":
        assert result.status == 255
        assert "cannot exec in a stopped container" in result.err


def test_created(bundle: Bundle) -> None:
    """A created container takes processes before it is started."""
    box = bundle("true")
    assert box.create().ok

    assert box.exec("echo", "early").out == "early\n"
    assert box.status == "created"


@pytest.mark.unlike("crun", "leaves the limits of the caller")
def test_limits(bundle: Bundle) -> None:
    """Resource limits and oom_score_adj of the document hold for exec too."""
    box = bundle()
    box.process["oomScoreAdj"] = 123
    box.up()

    result = box.exec("sh", "-c", "ulimit -n; cat /proc/self/oom_score_adj")

    assert result.lines == ["1024", "123"]


def test_binary_is_safe(bundle: Bundle) -> None:
    """A process of the container cannot open the runtime for writing while it enters."""
    box = bundle()
    box.capabilities("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE")
    attack = 'test "$(readlink $exe)" = /bin/busybox || ! (exec 3>>$exe) || echo "open $(readlink $exe)"'
    box.up(f"echo ready; while :; do for exe in /proc/[0-9]*/exe; do {attack}; done 2>/dev/null; done")
    box.wait_for("ready")

    for _ in range(5):
        assert box.exec("true").ok

    # An exe that is gone when it is opened for writing becomes a new file of the container's own.
    assert [line for line in box.printed.splitlines() if re.match("open /.+", line)] == []


def test_many_arguments(bundle: Bundle) -> None:
    """Arguments arrive as they are, and flags after the program are the program's."""
    words = ["", "a b", "--user", "-t", "--", "\u00e9"]

    result = bundle().up().exec("sh", "-c", 'for word; do echo "<$word>"; done', "sh", *words)

    assert result.lines == [f"<{word}>" for word in words]


def test_preserve_fds(bundle: Bundle) -> None:
    """--preserve-fds hands on fds in exec too."""
    box = bundle().up()
    (box.folder / "given").write_text("as it is\n")
    shell = f'exec 3<{box.folder}/given; exec "$@"'

    with box.runtime.below("sh", "-c", shell, "sh"):
        result = box.exec("sh", "-c", "cat <&3", flags=["--preserve-fds", "1"])

    assert result.out == "as it is\n", result
