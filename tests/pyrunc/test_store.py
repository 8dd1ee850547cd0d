"""The state store: ids, records, locks, statuses."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrunc.record import Damaged, Record, json_object, state_json, timestamp
from pyrunc.specs.errors import PyruncError
from pyrunc.store import Busy, NoContainer, Store, absolute, check_id, default_root, start_time

from .conftest import Keep, Sleeper

TEXT = st.text(st.characters(codec="utf-8"))
# As the operating system hands them over: bytes that are no UTF-8 among them.
PATHS = st.binary().filter(lambda value: b"\0" not in value).map(os.fsdecode)
FILES = PATHS.filter(lambda path: "\n" not in path).map(lambda path: f"/{path}")
RECORDS = st.builds(
    Record,
    id=TEXT,
    oci_version=TEXT,
    bundle=PATHS,
    rootfs=PATHS,
    created=TEXT,
    pid=st.integers(0, 1 << 22),
    start=st.integers(0, 1 << 63),
    owner=TEXT,
    annotations=st.dictionaries(TEXT, TEXT).map(json_object),
    freezer=st.none() | st.tuples(st.sampled_from(["v1", "v2"]), FILES),
    cgroups=st.lists(FILES),
    needs=st.lists(st.sampled_from(["poststart", "poststop", "shared-pidns", "systemd"]), unique=True),
)


def values(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in Record.__slots__}


# -- ids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["a", "A-b_c+d.e", "..a", "-x", "x" * 255])
def test_good_ids(id: str) -> None:
    """Letters, digits and _ + - . make an id."""
    check_id(id)


@pytest.mark.parametrize("id", [".", "..", "a/b", "/", "a b", "a\n", "ä", "a\0", "x" * 256])
def test_bad_ids(store: Store, id: str) -> None:
    """What could leave the root folder, or upset a program that reads lists, is no id, for whatever command."""
    for use in (check_id, store.path, store.create, store.load, store.lock):
        with pytest.raises(PyruncError, match=r"^invalid container ID format$"):
            use(id)


def test_empty_id() -> None:
    """An empty id has a sentence of its own."""
    with pytest.raises(PyruncError, match=r"^container id cannot be empty$"):
        check_id("")


# -- the form --------------------------------------------------------------------------------------------------------


@given(RECORDS)
def test_round_trip(record: Record) -> None:
    """What is written is what is read, whatever bytes paths and annotations have."""
    text = record.encode().encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")

    assert values(Record.decode(text)) == values(record)


def test_form() -> None:
    """The form is that of docs/architecture.md, which the front in C reads as well."""
    record = Record(
        id="box",
        oci_version="1.3.0",
        bundle="/srv/box",
        rootfs='/srv/"box"/rootfs',
        created="2026-11-22T13:42:36.123456789Z",
        pid=1234,
        start=987654,
        annotations=json_object({"a": "b", "ä": "\n"}),
        freezer=("v2", "/sys/fs/cgroup/box/cgroup.freeze"),
        cgroups=["/sys/fs/cgroup/box/inner", "/sys/fs/cgroup/box"],
        needs=["poststop", "systemd"],
    )

    assert record.encode().splitlines() == [
        "pyrunc-state 1",
        'ociVersion "1.3.0"',
        'id "box"',
        "pid 1234",
        "start 987654",
        'bundle "/srv/box"',
        'rootfs "/srv/\\"box\\"/rootfs"',
        'created "2026-11-22T13:42:36.123456789Z"',
        'owner ""',
        'annotations {"a": "b", "\\u00e4": "\\n"}',
        "freezer v2 /sys/fs/cgroup/box/cgroup.freeze",
        "cgroup /sys/fs/cgroup/box/inner",
        "cgroup /sys/fs/cgroup/box",
        "needs poststop systemd",
    ]


def plain(**fields: object) -> Record:
    values: dict[str, object] = {"id": "x", "oci_version": "1.3.0", "bundle": "/b", "rootfs": "/r", "created": "c"}
    return Record(**{**values, **fields})  # type: ignore[arg-type]


def test_newline_in_a_cgroup() -> None:
    """A path cannot smuggle a line into the file."""
    with pytest.raises(PyruncError, match="newline"):
        plain(cgroups=["/a\nneeds nothing"]).encode()


def test_unknown_keys() -> None:
    """A later version may add lines of its own."""
    text = plain(pid=7).encode()

    assert values(Record.decode(f"{text}colour red\n")) == values(plain(pid=7))


def test_newer_form() -> None:
    """A form that is not known is not guessed at, and is no damage that --force may sweep away."""
    with pytest.raises(PyruncError, match="newer pyrunc") as caught:
        Record.decode(plain().encode().replace("pyrunc-state 1", "pyrunc-state 2"))

    assert not isinstance(caught.value, Damaged)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "pyrunc-state 1", "pyrunc-state x\n", plain().encode()[:-1], plain().encode().replace("pid 0", "pid x")]
    + [plain().encode().replace('"/b"', bad) for bad in ("", "/b", '"/b', '"/b"x', '"\\x"')]
    + [
        re.sub(f"(?m)^{key} .*\n", "", plain().encode())
        for key in ("id", "ociVersion", "pid", "start", "bundle", "created")
    ],
)
def test_damage(text: str) -> None:
    """Anything that is cut short, changed or missing is told from a good file."""
    with pytest.raises(Damaged):
        Record.decode(text)


@given(RECORDS, st.sampled_from(["created", "running", "stopped"]))
def test_state_json(record: Record, status: str) -> None:
    """The state is JSON with the members that the specification and engines want; short and long forms say the same."""
    long, short = state_json(record, status), state_json(record, status, indent="")
    shown = json.loads(long)

    assert json.loads(short) == shown
    assert "\n" not in short
    assert shown["pid"] == (0 if status == "stopped" else record.pid)
    assert shown["bundle"].encode("utf-8", "surrogateescape") == os.fsencode(record.bundle)
    assert shown.get("annotations") == (json.loads(record.annotations) if record.annotations else None)
    assert list(shown)[:7] == ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created"]


def test_state_json_is_laid_out_as_by_the_front() -> None:
    """Two spaces, one member a line, no newline at the end: what the front in C prints."""
    record = plain(annotations=json_object({"a": "b, c", "d": "}"}))

    assert state_json(record, "stopped") == (
        '{\n  "ociVersion": "1.3.0",\n  "id": "x",\n  "pid": 0,\n  "status": "stopped",\n  "bundle": "/b",\n'
        '  "rootfs": "/r",\n  "created": "c",\n  "annotations": {\n    "a": "b, c",\n    "d": "}"\n  },\n'
        '  "owner": ""\n}'
    )


def test_timestamp() -> None:
    """Times are RFC 3339 in UTC with nanoseconds, and are now."""
    before = time.time()
    text = timestamp()

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", text)
    import datetime

    assert abs(datetime.datetime.fromisoformat(text[:26] + "+00:00").timestamp() - before) < 5


# -- folders and locks -----------------------------------------------------------------------------------------------


def test_create_takes_the_id(store: Store, keep: Keep) -> None:
    """An id can be taken once; the one who comes second changes nothing."""
    keep("box")
    before = Path(store.path("box"), "state").read_bytes()

    with pytest.raises(PyruncError, match=r"^container with given ID already exists$"):
        store.create("box")
    assert Path(store.path("box"), "state").read_bytes() == before


def test_folders_are_private(store: Store) -> None:
    """Nobody else may look into the root folder, a container's folder or its files."""
    before = os.umask(0)
    try:
        folder = store.create("box")
        folder.write("state", b"")
        folder.close()
    finally:
        os.umask(before)
    modes = [os.stat(path).st_mode & 0o777 for path in (store.root, folder.path, f"{folder.path}/state")]

    assert modes == [0o700, 0o700, 0o600]


def test_write_replaces(store: Store) -> None:
    """A file is replaced whole, and no other name stays behind."""
    folder = store.create("box")
    folder.write("state", b"long and old")
    folder.write("state", b"new")

    assert os.listdir(folder.path) == ["state"]
    assert Path(folder.path, "state").read_bytes() == b"new"
    folder.remove()


def test_remove_follows_no_link(store: Store, tmp_path: Path) -> None:
    """Removing a container removes what is in its folder, and of a link only the link."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    folder = store.create("box")
    os.makedirs(f"{folder.path}/a/b")
    Path(folder.path, "a", "b", "file").touch()
    os.symlink(precious, f"{folder.path}/a/link")
    folder.remove()

    assert os.listdir(store.root) == []
    assert (precious / "file").exists()


def test_lock_of_nothing(store: Store) -> None:
    """No folder, no container, with or without a root folder."""
    with pytest.raises(NoContainer, match=r"^container does not exist$"):
        store.lock("box")
    with pytest.raises(NoContainer):
        store.load("box")


def test_lock_of_a_removed_folder(store: Store) -> None:
    """Who gets the lock of a folder that has gone meanwhile has no container, even if the id is in use again."""
    first = store.create("box")
    reader = os.open(first.path, os.O_RDONLY | os.O_DIRECTORY)
    first.remove()
    second = store.create("box")
    with pytest.raises(Busy):
        store.lock("box")
    second.close()
    os.close(reader)

    store.lock("box").close()


def test_ids(store: Store, keep: Keep) -> None:
    """The list is sorted, and has no names that are no ids; no root folder is no container."""
    assert store.ids() == []
    keep("b")
    keep("a")
    os.mkdir(f"{store.root}/not an id")

    assert store.ids() == ["a", "b"]


# -- statuses --------------------------------------------------------------------------------------------------------


def test_alive(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """A container whose process lives is `created` as long as start.sock is there, then `running`."""
    record = keep("box", sleeper())
    Path(store.path("box"), "start.sock").touch()
    assert store.status(record) == "created"

    os.unlink(f"{store.path('box')}/start.sock")
    assert store.status(store.load("box")) == "running"


def test_ended(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """Neither a zombie nor a free pid is a running container."""
    process = sleeper()
    record = keep("box", process)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert store.status(record) == "stopped"

    process.wait()
    assert store.status(record) == "stopped"


def test_pid_of_another(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """A pid that has been given to another process does not bring a container back to life."""
    process = sleeper()
    started = start_time(process.pid)
    assert started is not None

    assert store.status(keep("box", process, start=started - 1)) == "stopped"


@pytest.mark.parametrize(
    ("text", "status"),
    [("1\n", "paused"), ("FROZEN\n", "paused"), ("FREEZING\n", "paused"), ("0\n", "running"), ("THAWED\n", "running")],
)
def test_frozen(store: Store, keep: Keep, sleeper: Sleeper, tmp_path: Path, text: str, status: str) -> None:
    """A frozen container is `paused`, in the words of either cgroup version."""
    (tmp_path / "freezer").write_text(text)

    assert store.status(keep("box", sleeper(), freezer=("v1", str(tmp_path / "freezer")))) == status


def test_freezer_gone(store: Store, keep: Keep, sleeper: Sleeper) -> None:
    """A cgroup that has been removed freezes nothing."""
    assert store.status(keep("box", sleeper(), freezer=("v2", "/nowhere/cgroup.freeze"))) == "running"


def hold(root: str, ready: multiprocessing.synchronize.Event) -> None:
    folder = Store(root).create("box")
    folder.write_record(plain(id="box"))
    ready.set()
    time.sleep(60)


def test_creating(store: Store) -> None:
    """While `create` is at work a container is `creating` and locked; what a killed `create` leaves is `stopped`."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    creator = context.Process(target=hold, args=(store.root, ready))
    creator.start()
    assert ready.wait(10)
    record = store.load("box")
    assert store.status(record) == "creating"
    with pytest.raises(Busy):
        store.lock("box")

    assert creator.pid is not None
    os.kill(creator.pid, signal.SIGKILL)
    creator.join()
    assert store.status(record) == "stopped"


def test_start_time_of_a_nasty_name(tmp_path: Path) -> None:
    """A program cannot pretend another start time by its name."""
    program = tmp_path / ") Z 1 1"
    os.symlink("/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    try:
        assert start_time(process.pid) == start_time_by_ps(process.pid)
    finally:
        process.kill()
        process.wait()
    assert start_time(process.pid) is None


def start_time_by_ps(pid: int) -> int:
    """Field 22 counted from behind: the fields after the name are 50 in all."""
    fields = Path(f"/proc/{pid}/stat").read_text().split()
    return int(fields[len(fields) - 31])


# -- where -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["a", "b", "..", ".", ""])).map("/".join))
def test_absolute(path: str) -> None:
    """Paths are made absolute as normpath does it, but for two slashes at the beginning."""
    expected = os.path.normpath("/" + os.path.join(os.getcwd(), path).lstrip("/"))

    assert absolute(path) == expected


@pytest.mark.parametrize(
    ("euid", "user", "mapped", "runtime", "root"),
    [
        (0, b"root", False, b"/run/user/0", "/run/pyrunc"),
        (0, b"me", False, b"/run/user/0", "/run/pyrunc"),
        (0, b"root", True, b"/run/user/0", "/run/pyrunc"),
        (0, b"me", True, b"/run/user/1", "/run/user/1/pyrunc"),
        (0, b"", True, b"/run/user/1", "/run/user/1/pyrunc"),
        (1000, b"me", False, b"/run/user/1000", "/run/user/1000/pyrunc"),
        (1000, b"me", False, b"", "/run/pyrunc"),
    ],
)
def test_default_root(
    monkeypatch: pytest.MonkeyPatch, euid: int, user: bytes, mapped: bool, runtime: bytes, root: str
) -> None:
    """XDG_RUNTIME_DIR counts for all but the machine's root, and in a user namespace for who is not called root."""
    import posix

    monkeypatch.setattr(posix, "geteuid", lambda: euid)
    monkeypatch.setattr(posix, "environ", {b"USER": user, b"XDG_RUNTIME_DIR": runtime})
    monkeypatch.setattr("pyrunc.store.in_user_namespace", lambda: mapped)

    assert default_root() == root
