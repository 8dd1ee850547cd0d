"""checkpoint and restore: processes that go on where they were, and nothing half done.

CRIU does the work: `$PYRUNC_CRIU` or the criu of PATH, where `criu check` is content with it and the kernel.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .box import Box, eventually
from .conftest import Bundle
from .host import alive
from .runtime import ENVIRONMENT, Result, Runtime
from .test_terminal import Receiver, read_until, receiver  # noqa: F401

pytestmark = pytest.mark.only("pyrunc", "runc")  # crun on cgroup v1 needs --manage-cgroups-mode=ignore

# Something that only memory knows, and a number that grows.
COUNTER = (
    "token=$(cat /proc/sys/kernel/random/uuid); while :; do echo $token $((n=n+1)) > /dev/shm/now; sleep .05; done"
)


@pytest.fixture(scope="session")
def criu() -> str:
    """The folder of a criu that works here."""
    found = os.environ.get("PYRUNC_CRIU") or shutil.which("criu", path=f"{ENVIRONMENT['PATH']}:{os.environ['PATH']}")
    if found is None:
        pytest.skip("criu is not installed")
    checked = subprocess.run([found, "check"], capture_output=True, text=True, check=False)
    if checked.returncode:
        pytest.skip(f"{found} check fails: {checked.stderr.strip()[-200:]}")
    return os.path.dirname(os.path.abspath(found))


@pytest.fixture
def box(bundle: Bundle, runtime: Runtime, criu: str) -> Iterator[Box]:
    """A box without a file of the host as its output, which could not be saved."""
    made = bundle()
    made.output = made.errors = Path("/dev/null")
    with runtime.below("env", f"PATH={criu}:{ENVIRONMENT['PATH']}"):
        yield made


def checkpoint(box: Box, *flags: str) -> Result:
    return box.runtime("checkpoint", "--image-path", str(box.folder / "images"), *flags, box.id)


def restore(box: Box, *flags: str) -> Result:
    """Detached; the container has the caller's streams."""
    images = str(box.folder / "images")
    errors = box.folder / "restore.errors"
    words = ("restore", "--detach", "--image-path", images, "--bundle", str(box.folder), *flags, box.id)
    return box.runtime.with_files(*words, output=Path("/dev/null"), errors=errors)


def now(box: Box) -> tuple[str, int]:
    """The token and the number of a container that counts."""
    found: list[str] = []

    def reads() -> bool:
        found[:] = box.exec("cat", "/dev/shm/now").out.split()
        return len(found) == 2  # not while it is being written

    assert eventually(reads)
    return found[0], int(found[1])


def goes_on(box: Box, before: tuple[str, int]) -> bool:
    token, number = now(box)
    return token == before[0] and number >= before[1] and eventually(lambda: now(box)[1] > number)


def test_goes_on(box: Box) -> None:
    """The container is deleted by its checkpoint; restored, its processes go on with what they had in memory."""
    box.up(COUNTER)
    before, pid = now(box), box.pid

    saved = checkpoint(box)

    assert saved.ok, saved
    assert not alive(pid)
    assert "does not exist" in box.runtime("state", box.id).err
    restored = restore(box, "--pid-file", str(box.folder / "pid"))
    assert restored.ok, restored
    assert box.status == "running"
    assert (box.folder / "pid").read_text() == str(box.pid)
    assert goes_on(box, before)
    assert box.kill("KILL").ok
    box.wait("stopped")
    assert box.delete().ok


def test_twice(box: Box) -> None:
    """A restored container can be saved again, with a process that `exec` has left in it."""
    box.up(COUNTER)
    before = now(box)
    assert checkpoint(box).ok
    assert restore(box).ok
    left = box.exec("sh", "-c", "sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!").out.strip()

    assert checkpoint(box).ok
    assert restore(box).ok

    assert goes_on(box, before)
    assert box.exec("cat", f"/proc/{left}/comm").out.strip() == "sleep"


def test_leave_running(box: Box) -> None:
    """--leave-running leaves the container alone."""
    box.up(COUNTER)
    before, pid = now(box), box.pid

    saved = checkpoint(box, "--leave-running")

    assert saved.ok, saved
    assert (box.status, box.pid) == ("running", pid)
    assert goes_on(box, before)
    assert json.loads((box.folder / "images/descriptors.json").read_text()) == ["/dev/null"] * 3


def test_mounts(box: Box) -> None:
    """What was bound is bound again, below symbolic links and into another bind too; masks and read-only paths are
    what they were."""
    outer, inner, file = box.folder / "outer", box.folder / "inner", box.folder / "file"
    outer.mkdir()
    inner.mkdir()
    file.write_text("one")
    (box.rootfs / "real/conf").mkdir(parents=True)
    (box.rootfs / "conf").symlink_to("/real/conf")
    box.bind(outer, "/test")
    box.bind(inner, "/test/for/nested")
    box.bind(inner, "/conf")
    box.bind(file, "/etc/file", "ro")
    box.up()
    # The flags of a mask are those of the host's /dev/null, whatever they are.
    mounts = "cut -d' ' -f4-6 /proc/self/mountinfo | sed 's|^/null \\([^ ]*\\) .*|\\1|' | sort"
    seen = ("sh", "-c", f"{mounts}; cat /etc/file")
    before = box.exec(*seen)
    assert before.ok, before
    assert checkpoint(box).ok
    shutil.rmtree(outer / "for")  # mount points are made as create makes them
    file.write_text("two")

    restored = restore(box)

    assert restored.ok, restored
    after = box.exec(*seen)
    assert after.out.replace("two", "one") == before.out
    assert "two" in after.out
    assert box.exec("touch", "/test/for/nested/new", "/conf/other").ok
    assert sorted(path.name for path in inner.iterdir()) == ["new", "other"]
    assert not box.exec("touch", "/etc/file").ok


def test_other_cgroup(box: Box) -> None:
    """With --manage-cgroups-mode ignore the container comes back into the cgroup that its document names, with the
    limits of its document."""
    old = box.cgroup
    box.up(COUNTER)
    before = now(box)
    assert checkpoint(box, "--manage-cgroups-mode", "ignore").ok
    box.linux["cgroupsPath"] = f"{old}-other"
    box.linux["resources"]["pids"] = {"limit": 77}
    box.write()

    restored = restore(box, "--manage-cgroups-mode", "ignore")

    assert restored.ok, restored
    lines = [line.split(":") for line in Path(f"/proc/{box.pid}/cgroup").read_text().splitlines()]
    controller, path = next((names, path) for _, names, path in lines if names in ("pids", ""))
    assert path.endswith(f"{old}-other")
    assert Path(f"/sys/fs/cgroup/{controller}{path}/pids.max").read_text() == "77\n"
    assert goes_on(box, before)


def test_pipes(box: Box) -> None:
    """Pipes that were its standard streams are replaced by those of the restore."""
    box.sh("while read line; do echo got $line; done").write()
    first = [os.pipe(), os.pipe()]
    argv = box.runtime.argv("run", "--detach", "--bundle", str(box.folder), box.id)
    assert (
        subprocess.run(argv, stdin=first[0][0], stdout=first[1][1], stderr=subprocess.DEVNULL, check=False).returncode
        == 0
    )

    assert checkpoint(box).ok

    second = [os.pipe(), os.pipe()]
    argv = box.runtime.argv("restore", "-d", "--image-path", str(box.folder / "images"), "-b", str(box.folder), box.id)
    done = subprocess.run(argv, stdin=second[0][0], stdout=second[1][1], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    os.write(second[0][1], b"it\n")
    assert os.read(second[1][0], 100) == b"got it\n"
    for pair in first + second:
        for fd in pair:
            os.close(fd)


def test_terminal(box: Box, receiver: Receiver) -> None:  # noqa: F811
    """The terminal of a restored container comes over the console socket."""
    box.process["terminal"] = True
    box.sh("while read line; do echo got $line; done")
    assert box.run_detached("--console-socket", str(receiver.path)).ok
    first = receiver.master()
    assert checkpoint(box).ok
    os.close(first)

    assert not restore(box).ok  # nobody would hold it
    restored = restore(box, "--console-socket", str(receiver.path))

    assert restored.ok, restored
    master = receiver.master()
    os.write(master, b"it\n")
    assert "got it" in read_until(master, "got it")
    os.close(master)


def test_foreground(box: Box) -> None:
    """Without --detach the exit code is the container's, which is deleted at its end."""
    box.up("while ! test -e /tmp/end; do sleep .05; done; exit 7")
    assert checkpoint(box).ok
    (box.rootfs / "tmp/end").touch()

    done = box.runtime(
        "restore", "--image-path", str(box.folder / "images"), "--bundle", str(box.folder), box.id
    )  # fmt: skip

    assert done.status == 7, done
    assert "does not exist" in box.runtime("state", box.id).err


def test_network_namespace(box: Box) -> None:
    """A network namespace that the container was put into is the one that it comes back to."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    try:
        path = f"/proc/{holder.pid}/ns/net"
        assert eventually(lambda: os.readlink(path) != os.readlink("/proc/self/ns/net"))
        box.namespace("network", path)
        box.up(COUNTER)
        before = now(box)
        assert checkpoint(box).ok

        restored = restore(box)

        assert restored.ok, restored
        assert os.readlink(f"/proc/{box.pid}/ns/net") == os.readlink(path)
        assert goes_on(box, before)
    finally:
        holder.kill()
        holder.wait()


def hook(box: Box, name: str) -> dict[str, object]:
    script = f"cat > {box.folder}/{name}.state; echo {name} >> {box.folder}/hooks"
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}


def test_hooks(box: Box) -> None:
    """prestart and createRuntime hooks run again, with the pid of the restored process; poststop ones at both ends."""
    box.config["hooks"] = {name: [hook(box, name)] for name in ("prestart", "createRuntime", "poststop")}
    box.up(COUNTER)
    assert checkpoint(box).ok
    assert (box.folder / "hooks").read_text().split() == ["prestart", "createRuntime", "poststop"]

    restored = restore(box)

    assert restored.ok, restored
    assert (box.folder / "hooks").read_text().split()[3:] == ["prestart", "createRuntime"]
    assert json.loads((box.folder / "createRuntime.state").read_text())["pid"] == box.pid
    assert box.delete("--force").ok
    assert (box.folder / "hooks").read_text().split()[5:] == ["poststop"]


def test_failed_hook(box: Box) -> None:
    """A hook that fails ends the restore; nothing is left (which the fixtures see to)."""
    box.up()
    assert checkpoint(box).ok
    box.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo no such luck >&2; exit 3"]}]
    }
    box.write()

    refused = restore(box)

    assert refused.status == 1
    assert "no such luck" in refused.err
    assert "does not exist" in box.runtime("state", box.id).err


def test_failed_checkpoint(box: Box) -> None:
    """What CRIU cannot save is told with CRIU's own words, and the container goes on."""
    box.output = box.folder / "output"  # a file of the host, out of the container's sight
    box.up(COUNTER)
    before, pid = now(box), box.pid

    refused = checkpoint(box)

    assert refused.status == 1
    assert "criu failed: type" in refused.err
    assert (box.status, box.pid) == ("running", pid)
    assert goes_on(box, before)


@pytest.mark.only("pyrunc")
@pytest.mark.parametrize("damage", ["mountpoints-*.img", "inventory.img", "descriptors.json"])
def test_failed_restore(box: Box, damage: str) -> None:
    """Images that are not whole: one error, and nothing is left (which the fixtures see to)."""
    box.up()
    assert checkpoint(box).ok
    for file in (box.folder / "images").glob(damage):
        file.write_bytes(b"")

    refused = restore(box)

    assert refused.status == 1
    assert refused.err.count("level=error") == 1
    assert "does not exist" in box.runtime("state", box.id).err


def killed_at(call: Callable[[], subprocess.Popen[bytes]], seconds: float) -> None:
    process = call()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.mark.only("pyrunc")
@pytest.mark.parametrize("seconds", [0.04, 0.07, 0.1, 0.13, 0.16])
def test_killed_restore(box: Box, seconds: float) -> None:
    """Killed at any moment, a restore leaves nothing that `delete --force` does not take away."""
    box.up(COUNTER)
    assert checkpoint(box).ok
    argv = box.runtime.argv("restore", "-d", "--image-path", str(box.folder / "images"), "-b", str(box.folder), box.id)
    null = subprocess.DEVNULL

    killed_at(lambda: subprocess.Popen(argv, stdin=null, stdout=null, stderr=null), seconds)

    deleted = box.delete("--force")
    assert deleted.ok, deleted


@pytest.mark.only("pyrunc")
def test_killed_while_criu_is_busy(box: Box) -> None:
    """A criu that does not end by itself, because it reads memory that is not there, ends with `delete --force`."""
    box.up(COUNTER)
    assert checkpoint(box).ok
    (box.folder / "images/pages-1.img").write_bytes(b"")
    argv = box.runtime.argv("restore", "-d", "--image-path", str(box.folder / "images"), "-b", str(box.folder), box.id)
    null = subprocess.DEVNULL

    killed_at(lambda: subprocess.Popen(argv, stdin=null, stdout=null, stderr=null), 1)

    deleted = box.delete("--force")
    assert deleted.ok, deleted


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--parent-path", "/absolute"], "--parent-path must be relative"),
        (["--parent-path", "missing"], "invalid --parent-path"),
        (["--page-server", "nowhere"], "Use --page-server ADDRESS:PORT to specify page server"),
        (["--page-server", "localhost:x"], "Invalid port number"),
        (["--empty-ns", "user"], "is not supported"),
        (["--manage-cgroups-mode", "props"], "invalid manage-cgroups-mode value"),
        (["--lazy-pages", "--status-fd", "99"], "invalid --status-fd argument 99"),
    ],
)
def test_wrong_flags(box: Box, flags: list[str], words: str) -> None:
    """Values that are none are refused in runc's words, and the container goes on."""
    box.up()

    refused = checkpoint(box, *flags)

    assert refused.status == 1
    assert words in refused.err.replace('\\"', '"')
    assert box.status == "running"


def test_not_running(box: Box) -> None:
    """Only what runs can be saved."""
    box.sh("true")
    assert box.create().ok

    assert "Container cannot be checkpointed in created state" in checkpoint(box).err
    assert box.start().ok
    box.wait("stopped")
    assert "Container cannot be checkpointed in stopped state" in checkpoint(box).err


def test_probes(runtime: Runtime) -> None:
    """podman asks for the help of checkpoint, and takes this complaint as a sign that the flag is known."""
    assert runtime("checkpoint", "--help").ok
    asked = runtime("restore", "--lsm-mount-context")
    assert asked.status != 0
    assert "flag needs an argument" in asked.out + asked.err
