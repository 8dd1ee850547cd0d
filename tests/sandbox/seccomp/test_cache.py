"""Filters that were compiled once are found again, and only those that can be trusted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyrunc.sandbox.native._seccomp", reason="the native module is not built")

from pyrunc.sandbox.seccomp import cache, filter_for
from tests.sandbox.documents import seccomp
from tests.sandbox.seccomp.profile import condition, profile, rule

SMALL = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule(["read"], condition(0, "EQ", 1))]}
OTHERS: list[dict[str, Any]] = [
    {"defaultAction": "SCMP_ACT_KILL"},
    {"defaultErrnoRet": 2},
    {"architectures": ["SCMP_ARCH_X86"]},
    {"flags": []},
    {"flags": ["SECCOMP_FILTER_FLAG_LOG"]},
    {"syscalls": []},
    {"syscalls": [rule(["write"], condition(0, "EQ", 1))]},
    {"syscalls": [rule(["read"], condition(0, "EQ", 1), action="SCMP_ACT_LOG")]},
    {"syscalls": [rule(["read"], condition(1, "EQ", 1))]},
    {"syscalls": [rule(["read"], condition(0, "NE", 1))]},
    {"syscalls": [rule(["read"], condition(0, "EQ", 2))]},
    {"syscalls": [rule(["read"], condition(0, "EQ", 1, 1))]},
    {"syscalls": [rule(["rea", "d"], condition(0, "EQ", 1))]},
    {"syscalls": [rule(["read"]), rule([], condition(0, "EQ", 1))]},
]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The machines for which something was really compiled, in order."""
    import pyrunc.sandbox.seccomp.compile as module

    done: list[str] = []
    real = module.compile_filter

    def counting(document: Any, machine: str, fail_unknown: bool) -> tuple[int, bytes]:
        done.append(machine)
        return real(document, machine, fail_unknown)

    monkeypatch.setattr(module, "compile_filter", counting)
    return done


def only_file(folder: str) -> Path:
    (file,) = Path(folder).iterdir()
    return file


def test_second_time_is_found(folder: str, compiled: list[str]) -> None:
    """The same profile is compiled once; flags and program come back as they were."""
    first = filter_for(seccomp(**SMALL), folder)

    assert first == filter_for(seccomp(**SMALL), folder)
    assert len(compiled) == 1
    assert first == filter_for(seccomp(**SMALL), None)
    assert oct(os.stat(folder).st_mode & 0o7777) == "0o700"
    assert oct(only_file(folder).stat().st_mode & 0o7777) == "0o600"


def test_no_filter() -> None:
    """Without default action and system calls there is nothing to do."""
    document = seccomp(defaultAction="x", syscalls=[])
    document.default_action = ""

    assert filter_for(document, None) is None


@pytest.mark.parametrize("change", OTHERS, ids=str)
def test_every_member_counts(change: dict[str, Any]) -> None:
    """Two profiles that differ anywhere never share a filter, nor do two machines."""
    key = cache.key(seccomp(**SMALL), "x86_64")

    assert key == cache.key(seccomp(**SMALL), "x86_64")
    assert key != cache.key(seccomp(**{**SMALL, **change}), "x86_64")
    assert key != cache.key(seccomp(**SMALL), "aarch64")


def damage_content(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] + b"\1")


def damage_flags(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:40] + b"\7" + data[41:])


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:30])


def replace_by_link(file: Path) -> None:
    file.rename(file.parent.parent / "moved")
    file.symlink_to(file.parent.parent / "moved")


def open_to_others(file: Path) -> None:
    file.chmod(0o644)


def open_folder(file: Path) -> None:
    file.parent.chmod(0o755)


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def replace_by_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    "harm",
    [
        damage_content, damage_flags, truncate, replace_by_link, open_to_others, open_folder, replace_by_folder,
        replace_by_fifo,
    ],
)  # fmt: skip
def test_not_trusted(folder: str, compiled: list[str], harm: Any) -> None:
    """What is damaged, or could be somebody else's, is ignored: the filter is compiled again."""
    first = filter_for(seccomp(**SMALL), folder)
    harm(only_file(folder))

    assert filter_for(seccomp(**SMALL), folder) == first
    assert len(compiled) == 2


@pytest.mark.parametrize("of", ["file", "folder"])
def test_foreign_owner(root: None, folder: str, compiled: list[str], of: str) -> None:
    """A file or folder of another user is as if it were not there."""
    filter_for(seccomp(**SMALL), folder)
    os.chown(only_file(folder) if of == "file" else folder, 12345, 12345)
    filter_for(seccomp(**SMALL), folder)

    assert len(compiled) == 2


def test_one_file_cannot_stand_in_for_another(folder: str, compiled: list[str]) -> None:
    """A valid filter under the name of another profile is not taken."""
    filter_for(seccomp(**SMALL), folder)
    other = {**SMALL, "syscalls": [rule(["write"])]}
    only_file(folder).rename(Path(folder) / cache.key(seccomp(**other), os.uname().machine))
    filter_for(seccomp(**other), folder)

    assert len(compiled) == 2


def test_new_library(folder: str, tmp_path: Path) -> None:
    """A filter of another libseccomp is not taken: that may not have known all names."""
    library = tmp_path / "libseccomp.so.2"
    library.write_bytes(b"one")
    cache.store(folder, "name", 4, b"12345678", str(library))
    assert cache.load(folder, "name") == (4, b"12345678")

    library.write_bytes(b"another")
    assert cache.load(folder, "name") is None
    library.unlink()
    assert cache.load(folder, "name") is None


def test_no_room(folder: str) -> None:
    """A cache that cannot be made is no error, and one that has grown too large is emptied."""
    cache.store("/proc/no/such/folder", "name", 0, b"", __file__)
    for number in range(cache.MAX_FILES + 10):
        cache.store(folder, f"{number}", 0, b"", __file__)

    assert len(os.listdir(folder)) <= cache.MAX_FILES


def test_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's filters are in /run whatever the environment says, a user's in the folder of the session, else nowhere."""
    import posix

    monkeypatch.setitem(posix.environ, b"XDG_RUNTIME_DIR", b"/run/user/7")
    monkeypatch.setattr(posix, "geteuid", lambda: 0)
    assert cache.default_folder() == "/run/pyrunc-cache"
    monkeypatch.setattr(posix, "geteuid", lambda: 7)
    assert cache.default_folder() == "/run/user/7/pyrunc-cache"
    monkeypatch.delitem(posix.environ, b"XDG_RUNTIME_DIR")
    assert cache.default_folder() is None


def test_hit_is_cheap(folder: str) -> None:
    """A large profile that is in the cache takes neither cffi nor hashlib, and a fraction of a millisecond."""
    document = seccomp(**profile("X86_64") if os.uname().machine == "x86_64" else profile())
    filter_for(document, folder)
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
from tests.sandbox.seccomp.profile import profile
from pyrunc.specs.decode import Node
from pyrunc.specs.seccomp import Seccomp
document = Seccomp(Node(profile(*{["X86_64"] if os.uname().machine == "x86_64" else []!r}), "linux.seccomp"))
before = set(sys.modules)
from pyrunc.sandbox.seccomp import filter_for
assert filter_for(document, {folder!r})
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    best = min(_timed(document, folder) for _ in range(20))

    assert set(done.stdout.split()) - {"_struct", "_blake2"} == {
        "pyrunc.sandbox", "pyrunc.sandbox.seccomp", "pyrunc.sandbox.seccomp.cache",
    }  # fmt: skip
    assert best < 0.001


def _timed(document: Any, folder: str) -> float:
    start = time.perf_counter()
    filter_for(document, folder)
    return time.perf_counter() - start
