"""What a process may do: capabilities, limits, no_new_privs, and what it can reach of the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Bundle

SETS = {
    "CapInh": "inheritable",
    "CapPrm": "permitted",
    "CapEff": "effective",
    "CapBnd": "bounding",
    "CapAmb": "ambient",
}


NUMBERS = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_RAW": 13, "CAP_AUDIT_WRITE": 29}


def mask(*names: str) -> int:
    return sum(1 << NUMBERS[name] for name in names)


def capability_sets(status: str) -> dict[str, int]:
    lines = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
    return {SETS[key]: int(value, 16) for key, value in lines.items()}


def test_capabilities(bundle: Bundle) -> None:
    """Each of the five sets is exactly what the document lists."""
    box = bundle("cat", "/proc/self/status")
    sets = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_KILL"],
        "inheritable": ["CAP_NET_RAW"],
        "ambient": ["CAP_NET_RAW"],
    }
    box.process["capabilities"] = sets
    box.process["user"] = {"uid": 1000, "gid": 1000}

    got = capability_sets(box.run().out)

    # Across execve a user other than root keeps the ambient set alone, as permitted and effective.
    assert got == {
        "bounding": mask("CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"),
        "permitted": mask("CAP_NET_RAW"),
        "effective": mask("CAP_NET_RAW"),
        "inheritable": mask("CAP_NET_RAW"),
        "ambient": mask("CAP_NET_RAW"),
    }


def test_capabilities_of_root(bundle: Bundle) -> None:
    """Root keeps its bounding set across exec, and none more."""
    box = bundle("cat", "/proc/self/status")
    box.capabilities("CAP_CHOWN", "CAP_KILL")

    got = capability_sets(box.run().out)

    assert got["bounding"] == got["permitted"] == got["effective"] == mask("CAP_CHOWN", "CAP_KILL")
    assert got["inheritable"] == got["ambient"] == 0


@pytest.mark.unlike("runc", "1.3 leaves them all")
@pytest.mark.parametrize("uid", [0, 1000])
def test_no_capabilities(bundle: Bundle, uid: int) -> None:
    """Without the capabilities object all five sets are empty."""
    box = bundle("cat", "/proc/self/status")
    box.process["user"] = {"uid": uid, "gid": uid}
    del box.process["capabilities"]

    assert set(capability_sets(box.run().out).values()) == {0}


@pytest.mark.unlike("crun", "makes it an error")
def test_unknown_capability(bundle: Bundle) -> None:
    """A capability that nobody knows is a warning, and the container runs."""
    box = bundle().sh("echo runs")
    box.capabilities("CAP_KILL", "CAP_SURPRISE")

    assert box.run().out == "runs\n"


def test_no_new_privileges(bundle: Bundle) -> None:
    """The bit is set when asked for, and not otherwise."""
    found = []
    for asked in (True, False, None):
        box = bundle("grep", "NoNewPrivs", "/proc/self/status")
        box.process["noNewPrivileges"] = asked
        if asked is None:
            del box.process["noNewPrivileges"]
        found.append(box.run().out.split()[1])

    assert found == ["1", "0", "0"]


def test_rlimits(bundle: Bundle) -> None:
    """Soft and hard limits are set, each kind to its own value."""
    box = bundle("cat", "/proc/self/limits")
    box.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 22},
        {"type": "RLIMIT_FSIZE", "soft": 1 << 33, "hard": 1 << 34},
    ]

    rows = {line[:26].strip(): line[26:].split()[:2] for line in box.run().lines[1:]}

    assert rows["Max open files"] == ["100", "200"]
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max stack size"] == [str(1 << 20), str(1 << 22)]
    assert rows["Max file size"] == [str(1 << 33), str(1 << 34)]


def test_bad_rlimit(bundle: Bundle) -> None:
    """A limit that does not exist is an error."""
    box = bundle("true")
    box.process["rlimits"] = [{"type": "RLIMIT_SURPRISE", "soft": 1, "hard": 1}]

    result = box.run()

    assert result.status == 1
    assert "RLIMIT_SURPRISE" in result.err


@pytest.mark.only("pyrunc", "crun")
def test_rlimit_twice(bundle: Bundle) -> None:
    """The same limit twice is an error, as the specification asks."""
    box = bundle("true")
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 9}] * 2
    if box.runtime.kind == "crun":
        pytest.skip("crun: takes the last")

    assert box.run().status == 1


def test_oom_score(bundle: Bundle) -> None:
    """oomScoreAdj is set where it is given, and left alone where it is not."""
    box = bundle("cat", "/proc/self/oom_score_adj")
    inherited = Path("/proc/self/oom_score_adj").read_text()
    assert box.run().out == inherited

    box.process["oomScoreAdj"] = 321

    assert box.run().out == "321\n"


def test_exe_is_safe(bundle: Bundle) -> None:
    """A container whose program is /proc/self/exe cannot reach a runtime's binary for writing."""
    box = bundle("sh", "-c", "exec 3>/proc/1/exe && echo open")
    box.capabilities(*NUMBERS)

    assert "open" not in box.run().out  # busybox itself: text file busy


def test_exe_as_program(bundle: Bundle) -> None:
    """Running /proc/self/exe as the container's program gives no runtime that could be overwritten."""
    binary = Path("/proc/self/exe").resolve()
    before = binary.stat().st_mtime_ns
    box = bundle("/proc/self/exe", "--version")

    box.run()

    assert binary.stat().st_mtime_ns == before


@pytest.mark.unlike("crun", "names it otherwise")
def test_session_keyring(bundle: Bundle) -> None:
    """The container has a session keyring of its own, called after it."""
    box = bundle("cat", "/proc/keys")
    box.linux["maskedPaths"] = []

    assert f"_ses.{box.id}" in box.run().out


@pytest.mark.unlike("crun", "names it otherwise")
@pytest.mark.parametrize("flags", [(), ("--no-new-keyring",)])
def test_session_keyring_of_exec(bundle: Bundle, flags: tuple[str, ...]) -> None:
    """`exec` joins the container's session keyring; where that was to have none, it keeps its caller's too."""
    box = bundle().sh("sleep 1000")
    box.linux["maskedPaths"] = []
    box.linux["seccomp"] = None
    assert box.create(*flags).ok
    assert box.start().ok

    assert (f"_ses.{box.id}" in box.exec("cat", "/proc/keys").out) == (not flags)
