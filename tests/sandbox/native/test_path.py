"""The path layer: inside the root whatever the tree holds, the same answers with openat2(2) and without.

Without: a filter answers every openat2 with ENOSYS, as old kernels do.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.native.harness import NATIVE

# Runs one call in a process of its own, so that the filter binds nobody else.
DRIVER = """
import ctypes, json, os, struct, sys
library, way, root, name, arguments = sys.argv[1:]
arguments = json.loads(arguments)
path = ctypes.CDLL(library, use_errno=True)
folder = os.open(root, os.O_PATH)
os.umask(0)
if way == "walk":
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 437), (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Filter(4, ctypes.addressof(program))), 0, 0) == 0
last = ctypes.create_string_buffer(256)
arguments = [item.encode() if isinstance(item, str) else item for item in arguments]
if name == "path_parent":
    arguments.append(last)
before = set(os.listdir("/proc/self/fd"))
fd = getattr(path, name)(folder, *arguments)
after = set(os.listdir("/proc/self/fd"))
if fd < 0:
    print(json.dumps({"error": -fd, "leak": len(after) - len(before)}))
else:
    found = os.fstat(fd)
    flags = int(open(f"/proc/self/fdinfo/{fd}").read().split("flags:")[1].split()[0], 8)
    print(json.dumps({
        "error": 0, "leak": len(after) - len(before) - 1, "path": os.readlink(f"/proc/self/fd/{fd}"),
        "last": last.value.decode(), "mode": found.st_mode, "cloexec": bool(flags & os.O_CLOEXEC),
    }))
"""
ENOENT, ENOTDIR, EINVAL, ENAMETOOLONG, ELOOP = 2, 20, 22, 36, 40
HANDLE, FOLDER = os.O_PATH, os.O_PATH | os.O_DIRECTORY

Answer = dict[str, Any]
Call = Callable[..., Answer]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer as a library."""
    target = tmp_path_factory.mktemp("path") / "libpath.so"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wswitch-enum", "-Werror", "-shared", "-fPIC"]
    flags += shlex.split(os.environ.get("CFLAGS", ""))
    subprocess.run(["gcc", *flags, str(NATIVE / "path.c"), "-o", str(target)], check=True)
    return target


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root full of temptations, in a folder with something worth reaching outside."""
    root = tmp_path / "root"
    (root / "folder/deep").mkdir(parents=True)
    (root / "folder/file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    links = {
        "absolute": "/folder",
        "relative": "folder",
        "up": "../../../../folder",
        "out": "/../secret",
        "host": "/etc/hostname",
        "file": "folder/file",
        "chain": "absolute/deep/../../relative",
        "loop": "loop",
        "a": "b",
        "b": "a",
        "dangling": "/made/by/link",
        "folder/back": "..",
        "slash": "folder/",
        "folder/deep/root": "/",
    }
    for name, text in links.items():
        (root / name).symlink_to(text)
    return root


@pytest.fixture(params=["openat2", "walk"])
def call(request: pytest.FixtureRequest, library: Path, tree: Path) -> Call:
    """One call of the layer below the tree, by either way."""

    def call(name: str, *arguments: object, root: str = "") -> Answer:
        command = [
            sys.executable,
            "-c",
            DRIVER,
            str(library),
            request.param,
            root or str(tree),
            name,
            json.dumps(arguments),
        ]
        answer: Answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert answer["leak"] == 0
        assert answer["error"] or answer["cloexec"]
        return answer

    return call


@pytest.mark.parametrize(
    "path, inside",
    [
        ("/", "."),
        ("", "."),
        (".", "."),
        ("..", "."),
        ("/../../..", "."),
        ("folder", "folder"),
        ("/folder/", "folder"),
        ("//folder///deep/.", "folder/deep"),
        ("folder/../folder/deep/..", "folder"),
        ("absolute/file", "folder/file"),
        ("relative/deep", "folder/deep"),
        ("up/file", "folder/file"),
        ("file", "folder/file"),
        ("chain/file", "folder/file"),
        ("slash", "folder"),
        ("slash/file", "folder/file"),
        ("folder/back/folder", "folder"),
        ("folder/deep/root/..", "."),
        ("folder/back/../../folder/deep", "folder/deep"),
    ],
)
def test_open_resolves_inside(call: Call, tree: Path, path: str, inside: str) -> None:
    """Paths and links lead to where they would if the root were "/"."""
    assert call("path_open", path, HANDLE)["path"] == str((tree / inside).resolve())


@pytest.mark.parametrize(
    "path, error",
    [
        ("missing", ENOENT),
        ("folder/missing/x", ENOENT),
        ("out", ENOENT),
        ("host", ENOENT),
        ("dangling", ENOENT),
        ("loop", ELOOP),
        ("a/x", ELOOP),
        ("folder/file/x", ENOTDIR),
        ("folder/file/..", ENOTDIR),
        ("folder/file/", ENOTDIR),
        ("x" * 256, ENAMETOOLONG),
        ("x/" * 2100, ENAMETOOLONG),
    ],
)
def test_open_fails_as_the_kernel_does(call: Call, path: str, error: int) -> None:
    """What cannot be reached inside is not reached at all."""
    assert call("path_open", path, HANDLE)["error"] == error


def test_open_for_reading(call: Call, tree: Path) -> None:
    """Flags are those of open(2); O_DIRECTORY and O_NOFOLLOW hold for the last component."""
    assert stat.S_ISREG(call("path_open", "file", os.O_RDONLY)["mode"])
    assert call("path_open", "file", FOLDER)["error"] == ENOTDIR
    assert call("path_open", "file", os.O_RDONLY | os.O_DIRECTORY)["error"] == ENOTDIR
    assert call("path_open", "file", os.O_RDONLY | os.O_NOFOLLOW)["error"] == ELOOP
    assert stat.S_ISLNK(call("path_open", "relative", HANDLE | os.O_NOFOLLOW)["mode"])


def test_open_of_many_links(call: Call, tree: Path) -> None:
    """Forty links are followed, more are a loop, however short."""
    (tree / "link0").symlink_to("folder")
    for number in range(1, 50):
        (tree / f"link{number}").symlink_to(f"link{number - 1}")

    assert call("path_open", "link39", HANDLE)["error"] == 0
    assert call("path_open", "link40", HANDLE)["error"] == ELOOP


@pytest.mark.parametrize("path", ["self/fd/0", "self/exe", "self/cwd", "self/root/etc", "self/ns/mnt"])
def test_magic_links_are_refused(call: Call, path: str) -> None:
    """What procfs offers beside paths leads nowhere, its ordinary links do."""
    assert call("path_open", path, HANDLE, root="/proc")["error"] == ELOOP
    assert call("path_open", "self/status", HANDLE, root="/proc")["error"] == 0
    assert call("path_open", "mounts", HANDLE, root="/proc")["error"] == 0


def test_open_nolinks(call: Call, tree: Path) -> None:
    """No link is followed, not in the middle either, and folders without one are found."""
    for path in ("relative", "relative/deep", "folder/deep/root/folder"):
        assert call("path_open_nolinks", path, HANDLE)["error"] == ELOOP
    assert call("path_open_nolinks", "/folder/../folder/deep", FOLDER)["path"] == str(tree / "folder/deep")


@pytest.mark.parametrize(
    "path, folder, last",
    [
        ("x", ".", "x"),
        ("/x/", ".", "x"),
        ("folder/new", "folder", "new"),
        ("absolute/new//", "folder", "new"),
        ("/relative", ".", "relative"),
    ],
)
def test_parent(call: Call, tree: Path, path: str, folder: str, last: str) -> None:
    """The last component is a name and nothing else; the one before it is resolved."""
    answer = call("path_parent", path)

    assert (answer["path"], answer["last"]) == (str((tree / folder).resolve()), last)


@pytest.mark.parametrize(
    "path, error",
    [
        ("/", EINVAL),
        ("", EINVAL),
        ("folder/..", EINVAL),
        ("folder/.", EINVAL),
        ("..", EINVAL),
        ("missing/x", ENOENT),
        ("folder/file/x", ENOTDIR),
        ("x" * 256, ENAMETOOLONG),
        ("folder/" * 1000, ENAMETOOLONG),
    ],
)
def test_parent_of_what_is_no_name(call: Call, path: str, error: int) -> None:
    """The root has no parent to be given, and neither has what ends in dots."""
    assert call("path_parent", path)["error"] == error


@pytest.mark.parametrize(
    "path, made",
    [
        ("new", ["new"]),
        ("/x/y/z", ["x", "x/y", "x/y/z"]),
        ("dangling/more", ["made", "made/by", "made/by/link", "made/by/link/more"]),
        ("absolute/n", ["folder/n"]),
        ("x/../y", ["x", "y"]),
        ("../../esc", ["esc"]),
        ("folder/deep", []),
    ],
)
def test_make_folders(call: Call, tree: Path, path: str, made: list[str]) -> None:
    """What is missing is made inside with the mode given, also behind dangling links; the rest stays."""
    before = {item for item in tree.rglob("*") if not item.is_symlink()}
    answer = call("path_make_folders", path, 0o751)
    new = {item for item in tree.rglob("*") if not item.is_symlink()} - before

    assert answer["error"] == 0 and stat.S_ISDIR(answer["mode"])
    assert sorted(str(item.relative_to(tree)) for item in new) == sorted(made)
    assert {stat.S_IMODE(item.stat().st_mode) for item in new} <= {0o751}
    assert sorted(item.name for item in tree.parent.iterdir()) == ["root", "secret"]


def test_make_folders_where_there_is_a_file(call: Call) -> None:
    """A file in the way is ENOTDIR, at the end and in the middle."""
    assert call("path_make_folders", "folder/file", 0o755)["error"] == ENOTDIR
    assert call("path_make_folders", "folder/file/x", 0o755)["error"] == ENOTDIR


@pytest.mark.parametrize(
    "path, made", [("new", "new"), ("x/y/z", "x/y/z"), ("dangling", "made/by/link"), ("file", "folder/file")]
)
def test_make_file(call: Call, tree: Path, path: str, made: str) -> None:
    """An empty file with folders above it; what is there stays as it is."""
    answer = call("path_make_file", path, 0o640)

    assert answer["path"] == str(tree / made)
    if made != "folder/file":
        assert (stat.S_IMODE(answer["mode"]), (tree / made).read_bytes()) == (0o640, b"")
        assert all(stat.S_IMODE(folder.stat().st_mode) == 0o755 for folder in (tree / made).parents if folder > tree)
    else:
        assert (tree / made).read_text() == "inside"


def test_a_setgid_folder_is_no_obstacle(call: Call, tree: Path) -> None:
    """Folders are made in a folder that hands its group on."""
    tree.chmod(0o2755)

    assert call("path_make_folders", "x/y", 0o755)["error"] == 0
    assert (tree / "x/y").is_dir()


@pytest.mark.parametrize("way", ["openat2", "walk"])
def test_renames_meanwhile_never_lead_out(library: Path, tree: Path, way: str) -> None:
    """While a folder turns into a link and back, nothing outside is ever opened."""
    storm = tree / "storm"
    storm.mkdir()
    (storm / "secret").write_text("inside")
    outside = tree.parent
    script = f"""
import ctypes, os
library = ctypes.CDLL(None, use_errno=True)
os.symlink({str(outside)!r}, {str(tree / "trap")!r})
while os.path.exists({str(tree / "run")!r}):
    library.renameat2(-100, {str(storm)!r}.encode(), -100, {str(tree / "trap")!r}.encode(), 2)
"""
    (tree / "run").touch()
    attacker = subprocess.Popen([sys.executable, "-c", script])
    client = (
        DRIVER.split("before = ")[0]
        + """
found = set()
for _ in range(20000):
    fd = path.path_open(folder, b"/storm/../storm/secret", os.O_RDONLY)
    if fd >= 0:
        found.add(os.read(fd, 100).decode())
        os.close(fd)
print(json.dumps(sorted(found)))
"""
    )
    try:
        command = [sys.executable, "-c", client, str(library), way, str(tree), "path_open", "[]"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    finally:
        (tree / "run").unlink()
        attacker.wait(10)

    assert found == ["inside"]


def test_the_filter_really_takes_openat2_away(library: Path, tmp_path: Path) -> None:
    """The way without openat2 is the one that is tested above: the call itself is refused there."""
    probe = DRIVER.split("last = ")[0] + "print(libc.syscall(437, -100, b'/', 0, 0), ctypes.get_errno())"
    command = [sys.executable, "-c", probe, str(library), "walk", str(tmp_path), "", "[]"]

    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ["-1", "38"]
