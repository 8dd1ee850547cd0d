"""What is done with containers that exist, on records made by hand: real processes, real cgroups, no launcher."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrunc import manage
from pyrunc.specs.errors import Failure, PyruncError
from pyrunc.store import NoContainer, Store

from .command import Pyrunc
from .conftest import Keep, Sleeper

MakeCgroup = Callable[..., str]
HIERARCHIES = {"v1": ["/sys/fs/cgroup/freezer"], "v2": ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]}
FREEZERS = {"v1": "freezer.state", "v2": "cgroup.freeze"}


@pytest.fixture(params=["v1", "v2"])
def version(request: pytest.FixtureRequest, root: None) -> str:
    """Both versions of cgroups, as far as this machine has them."""
    kind: str = request.param
    if not hierarchy(kind):
        pytest.skip(f"no cgroup {kind} here")
    return kind


def hierarchy(version: str) -> str:
    marks = {"v1": "cgroup.clone_children", "v2": "cgroup.controllers"}
    return next((path for path in HIERARCHIES[version] if os.path.exists(f"{path}/{marks[version]}")), "")


@pytest.fixture
def cgroup(version: str) -> Iterator[MakeCgroup]:
    """Makes a cgroup with processes in it."""
    made: list[str] = []

    def make(*processes: subprocess.Popen[bytes]) -> str:
        path = f"{hierarchy(version)}/pyrunc-test-{os.getpid()}-{len(made)}"
        os.mkdir(path)
        made.append(path)
        for process in processes:
            Path(path, "cgroup.procs").write_text(str(process.pid))
        return path

    yield make
    for path in made:
        if os.path.exists(path):
            Path(path, FREEZERS[version]).write_text({"v1": "THAWED", "v2": "0"}[version])
            for pid in Path(path, "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            eventually(lambda path=path: not Path(path, "cgroup.procs").read_text())
            os.rmdir(path)


def eventually(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    return what()


def freezer(version: str, cgroup: str) -> tuple[str, str]:
    return version, f"{cgroup}/{FREEZERS[version]}"


# -- kill ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "number"), [("TERM", 15), ("9", 9), (10, 10), ("sigusr2", 12)])
def test_kill(store: Store, keep: Keep, sleeper: Sleeper, word: str | int, number: int) -> None:
    """The signal that was asked for reaches the first process."""
    process = sleeper()
    keep("box", process)
    manage.kill(store.root, "box", word)

    assert process.wait(5) == -number


def test_kill_stopped_has_no_effect(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """A process that has got the pid of a container that ended is left alone, whatever is asked for."""
    process = sleeper()
    keep("box", process, start=1, needs=["shared-pidns"])
    for word in ("TERM", "KILL"):
        with pytest.raises(PyruncError, match=r"^container not running$"):
            manage.kill(store.root, "box", word)
    manage.kill(store.root, "box", "KILL", everything=True)

    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)


def test_kill_between_the_look_and_the_signal(
    store: Store, keep: Keep, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start time is looked at again once nobody else can get the pid: the race of pid reuse is lost by nobody."""
    process = sleeper()
    keep("box", process, start=1)
    monkeypatch.setattr(Store, "status", lambda store, record: "running")
    with pytest.raises(PyruncError, match=r"^container not running$"):
        manage.kill(store.root, "box", "KILL")

    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)


def test_kill_nothing(store: Store, keep: Keep) -> None:
    """Without a container, that is said before the signal is read; a container being made is not running."""
    with pytest.raises(NoContainer):
        manage.kill(store.root, "box", "FOO")
    keep("box")
    with pytest.raises(PyruncError, match='^unknown signal "FOO"$'):
        manage.kill(store.root, "box", "FOO")
    with pytest.raises(PyruncError, match=r"^container not running$"):
        manage.kill(store.root, "box", "TERM")


def test_kill_shared_namespace(store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup, version: str) -> None:
    """Where the PID namespace is not the container's own, SIGKILL ends all that is in the cgroup; SIGTERM does not."""
    first, second = sleeper(), sleeper()
    path = cgroup(first, second)
    keep("box", first, cgroups=[path], freezer=freezer(version, path), needs=["shared-pidns"])
    manage.kill(store.root, "box", "TERM")
    assert first.wait(5) == -15
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.1)

    manage.kill(store.root, "box", "KILL", everything=True)
    assert second.wait(5) == -9


def test_kill_frozen(store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup, version: str) -> None:
    """SIGKILL ends a paused container."""
    process = sleeper()
    path = cgroup(process)
    keep("box", process, cgroups=[path], freezer=freezer(version, path))
    manage.pause(store.root, "box")
    manage.kill(store.root, "box", "KILL")

    assert process.wait(5) == -9


# -- delete ----------------------------------------------------------------------------------------------------------


def test_delete_stopped(store: Store, keep: Keep) -> None:
    """What has ended is taken away; a second time there is no container, which only --force puts up with."""
    keep("box", pid=1, start=1)
    manage.delete(store.root, "box")
    assert os.listdir(store.root) == []

    with pytest.raises(NoContainer):
        manage.delete(store.root, "box")
    assert manage.delete(store.root, "box", force=True) == []


def test_delete_running(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """A running container is deleted by force only, and dies of it."""
    process = sleeper()
    keep("box", process)
    with pytest.raises(PyruncError, match=r"^cannot delete container box that is not stopped: running$"):
        manage.delete(store.root, "box")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)

    manage.delete(store.root, "box", force=True)
    assert process.wait(5) == -9
    assert os.listdir(store.root) == []


def test_delete_created(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """A container that was never started is deleted without force, as runc does it."""
    process = sleeper()
    keep("box", process)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{store.path('box')}/start.sock")
        manage.delete(store.root, "box")

    assert process.wait(5) == -9
    assert os.listdir(store.root) == []


def test_delete_without_systemd(
    store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container whose systemd has gone, as that of a user who has logged out, is deleted by force, with a warning."""
    nowhere = {**os.environb, b"DBUS_SESSION_BUS_ADDRESS": b"unix:path=/nowhere", b"XDG_RUNTIME_DIR": b"/nowhere"}
    monkeypatch.setattr("posix.environ", nowhere)
    process = sleeper()
    path = cgroup(process)
    process.kill()
    process.wait()
    keep("box", pid=process.pid, start=1, cgroups=[path], needs=["systemd"], unit=("user", "box.scope"))

    with pytest.raises(Failure, match="reach the user's systemd"):
        manage.delete(store.root, "box")
    (warning,) = manage.delete(store.root, "box", force=True)

    assert "reach the user's systemd" in warning
    assert not os.path.exists(path)
    assert os.listdir(store.root) == []


def test_delete_paused(store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup, version: str) -> None:
    """Force thaws, ends and removes a paused container with its cgroup and those below."""
    process = sleeper()
    path = cgroup(process)
    os.mkdir(f"{path}/inner")
    keep("box", process, cgroups=[path], freezer=freezer(version, path))
    manage.pause(store.root, "box")
    with pytest.raises(PyruncError, match=r"^cannot delete container box that is not stopped: paused$"):
        manage.delete(store.root, "box")
    manage.delete(store.root, "box", force=True)

    assert process.wait(5) == -9
    assert not os.path.exists(path)
    assert os.listdir(store.root) == []


def test_delete_leftover_processes(
    store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup, version: str
) -> None:
    """Processes that outlive the first one in a shared PID namespace go with the container."""
    process = sleeper()
    path = cgroup(process)
    keep("box", pid=process.pid, start=1, cgroups=[path], freezer=freezer(version, path), needs=["shared-pidns"])
    manage.delete(store.root, "box")

    assert process.wait(5) == -9
    assert not os.path.exists(path)


def test_delete_half_made(store: Store, keep: Keep, cgroup: MakeCgroup) -> None:
    """What a killed `create` has left is taken away, whether the cgroup was made by then or not."""
    path = cgroup()
    keep("box", cgroups=[path, f"{path}-never-made"])
    Path(store.path("box"), ".state").touch()
    assert manage.state(store.root, "box")[1] == "stopped"
    manage.delete(store.root, "box", force=True)

    assert not os.path.exists(path)
    assert os.listdir(store.root) == []


def test_delete_half_made_kills_nobody(
    store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup, version: str
) -> None:
    """A container that was never finished has no processes: those in the cgroup are another's, and live on."""
    process = sleeper()
    path = cgroup(process)
    keep("box", cgroups=[path], freezer=freezer(version, path), needs=["shared-pidns"])
    (warning,) = manage.delete(store.root, "box", force=True)

    assert warning.startswith("cannot remove cgroup")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.1)
    assert os.path.exists(path)
    assert os.listdir(store.root) == []


@pytest.mark.parametrize("force", [False, True])
def test_delete_without_a_record(store: Store, force: bool) -> None:
    """A folder without a state file is all that there is: what a killed `create` or `delete` has left."""
    folder = store.create("box")
    folder.write("config.json", b"{}")
    folder.close()
    assert manage.delete(store.root, "box", force) == []

    assert os.listdir(store.root) == []


@pytest.mark.parametrize("state", [b"", b"{"])
def test_delete_with_a_damaged_record(store: Store, state: bytes) -> None:
    """A folder with a damaged state file is swept by force only."""
    folder = store.create("box")
    folder.write("state", state)
    folder.close()
    with pytest.raises(PyruncError, match="cannot read container box"):
        manage.delete(store.root, "box")
    manage.delete(store.root, "box", force=True)

    assert os.listdir(store.root) == []


def test_delete_of_a_newer_form(store: Store, keep: Keep) -> None:
    """What a newer pyrunc has made, force leaves alone."""
    keep("box")
    state = Path(store.path("box"), "state")
    state.write_text(state.read_text().replace("pyrunc-state 1", "pyrunc-state 2"))
    with pytest.raises(PyruncError, match="newer pyrunc"):
        manage.delete(store.root, "box", force=True)

    assert os.listdir(store.root) == ["box"]


def test_delete_waits_for_create(store: Store, keep: Keep) -> None:
    """Without force a container that is being made stays; with it, `delete` waits until `create` is through."""
    folder = store.create("box")
    with pytest.raises(PyruncError, match="being created or deleted"):
        manage.delete(store.root, "box")
    timer = threading.Timer(0.3, folder.close)
    timer.start()
    begin = time.monotonic()
    manage.delete(store.root, "box", force=True)

    assert 0.2 < time.monotonic() - begin < 5
    assert os.listdir(store.root) == []


def test_two_deletes(pyrunc: Pyrunc, store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """Two that delete at once get in nobody's way."""
    keep("box", sleeper())
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(pyrunc("delete", "-f", "box").code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [0] * 4
    assert os.listdir(store.root) == []


@pytest.fixture
def with_hook(store: Store, keep: Keep, tmp_path: Path) -> Callable[[str], Path]:
    """A stopped container with a poststop hook, a shell script; returns the file that the script can write to."""

    def make(script: str) -> Path:
        out = tmp_path / "out"
        hook = {"path": "/bin/sh", "args": ["sh", "-c", script, "sh", str(out), store.root]}
        document = {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "hooks": {"poststop": [hook]},
        }
        keep("box", pid=1, start=1, needs=["poststop"])
        Path(store.path("box"), "config.json").write_text(json.dumps(document))
        return out

    return make


def test_poststop(store: Store, with_hook: Callable[[str], Path]) -> None:
    """Poststop hooks get the state of the stopped container, when it has gone already."""
    out = with_hook('cat > "$1"; echo; ls "$2" | wc -l >> "$1"')
    assert manage.delete(store.root, "box") == []
    state, _, left = out.read_text().partition("}")

    assert json.loads(state + "}")["status"] == "stopped"
    assert left.strip() == "0"


def test_failing_poststop(store: Store, with_hook: Callable[[str], Path]) -> None:
    """A poststop hook that fails is a warning, and the container is gone."""
    with_hook("echo out; echo no >&2; exit 3")
    (warning,) = manage.delete(store.root, "box")

    assert "error running poststop hook #0: exit status 3, stdout: out, stderr: no" in warning
    assert os.listdir(store.root) == []


# -- freezer, processes, list ----------------------------------------------------------------------------------------


def test_pause_and_resume(store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup, version: str) -> None:
    """pause and resume change the status; in the wrong status they say so and change nothing."""
    process = sleeper()
    path = cgroup(process)
    keep("box", process, cgroups=[path], freezer=freezer(version, path))
    with pytest.raises(PyruncError, match=r"^container not paused$"):
        manage.resume(store.root, "box")
    manage.pause(store.root, "box")
    assert manage.state(store.root, "box")[1] == "paused"
    with pytest.raises(PyruncError, match=r"^container not running$"):
        manage.pause(store.root, "box")

    manage.resume(store.root, "box")
    assert manage.state(store.root, "box")[1] == "running"


def test_pause_without_a_cgroup(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """A container without a cgroup of its own cannot be paused, and is told so."""
    keep("box", sleeper())
    with pytest.raises(PyruncError, match=r"^cgroup not exist$"):
        manage.pause(store.root, "box")


def test_pause_stopped(store: Store, keep: Keep) -> None:
    """What has ended can be neither paused nor resumed nor limited."""
    from pyrunc.update import update

    keep("box", pid=1, start=1)
    with pytest.raises(PyruncError, match=r"^container not running$"):
        manage.pause(store.root, "box")
    with pytest.raises(PyruncError, match=r"^container not paused$"):
        manage.resume(store.root, "box")
    with pytest.raises(PyruncError, match=r"^container not running$"):
        update(store.root, "box", {"pids": {"limit": 1}})


def test_processes(store: Store, keep: Keep, sleeper: Sleeper, cgroup: MakeCgroup) -> None:
    """The processes are those of the cgroup and of the cgroups below it."""
    first, second = sleeper(), sleeper()
    path = cgroup(first)
    os.mkdir(f"{path}/inner")
    Path(path, "inner", "cgroup.procs").write_text(str(second.pid))
    keep("box", first, cgroups=[path])
    found = manage.processes(store.root, "box")
    second.kill()
    second.wait()
    os.rmdir(f"{path}/inner")

    assert found == sorted([first.pid, second.pid])


def test_processes_without_a_cgroup(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """Without a cgroup the first process is all that is known, as long as it lives."""
    process = sleeper()
    keep("box", process)
    assert manage.processes(store.root, "box") == [process.pid]

    process.kill()
    process.wait()
    assert manage.processes(store.root, "box") == []


def test_containers(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """All containers are found with status and owner; one that cannot be read is a warning."""
    keep("b", sleeper())
    keep("a", pid=1, start=1)
    store.create("c").close()
    found, warnings = manage.containers(store.root)

    assert [(one.record.id, one.status) for one in found] == [("a", "stopped"), ("b", "running")]
    assert {one.owner for one in found} == {subprocess.check_output(["id", "-un"], text=True).strip()}
    assert warnings == ["cannot list container c: container does not exist"]
