"""The warm modules: they save time and change nothing else."""

from __future__ import annotations

import ast
import marshal
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pyrunc.hot import COMMANDS

# What the front's program does (native/front/handover.c), telling at the end where its modules came from.
PROGRAM = """
import sys, gc
paths = [sys.argv.pop(1)]
sys.path += paths
sys._pyrunc_hot = False
try:
    import marshal, posix
    name = sys.argv[1]
    tag = sys.implementation.cache_tag
    file = posix.open(f"{paths[0]}/pyrunc/__pycache__/hot.{tag}.{name}", posix.O_CLOEXEC)
    hot = marshal.loads(posix.read(file, 1 << 24))
    posix.close(file)
    exec(hot[0])
except Exception:
    pass
warm = sys._pyrunc_hot
from pyrunc.cli import perform
status = perform(sys.argv[1:])
if not warm:
    from pyrunc.hot import refresh
    refresh()
print("warm" if warm else "cold", status)
"""


def test_commands_are_the_same_everywhere(tree: Path) -> None:
    """Who writes the files and the two who read them mean the same commands."""
    boot = ast.parse((tree / "pyrunc/boot.py").read_text())
    listed = [node.value for node in boot.body if isinstance(node, ast.Assign) and "COMMANDS" in ast.unparse(node)]
    handover = (tree / "sandbox/native/front/handover.c").read_text()
    chosen = re.findall(r"'(\w+)'", handover.partition("word in(")[2].partition("))")[0])

    assert sorted(ast.literal_eval(listed[0])) == sorted(COMMANDS) == sorted(chosen)


@pytest.fixture
def copy(tree: Path, tmp_path: Path) -> Path:
    """The packages in a place of their own, without any cache."""
    for name in ("pyrunc", "sandbox", "specs"):
        shutil.copytree(tree / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def listed(copy: Path) -> str:
    """What `list` says; the last line tells whether the modules were warm."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, str(copy), "list", "-q"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().split("\n")[-1]


def cache(copy: Path) -> Path:
    return copy / f"pyrunc/__pycache__/hot.{sys.implementation.cache_tag}.list"


def test_second_start_is_warm(copy: Path) -> None:
    """The first start leaves the modules, the second one takes them."""
    assert [listed(copy), listed(copy)] == ["cold 0", "warm 0"]


def test_libraries_are_left_out(copy: Path) -> None:
    """A first start that has loaded a library of ours, as one that compiles a filter, leaves the modules as well."""
    pytest.importorskip("pyrunc.sandbox.native._seccomp", reason="the native module is not built")
    source = copy / "pyrunc/cli/list.py"
    using = "def run(context: Context, given: Given) -> int:\n"
    changed = source.read_text().replace(using, f"{using}    import pyrunc.sandbox.seccomp.compile as _\n")
    site = [path for path in sys.path if path.endswith("-packages")]
    source.write_text(changed.replace("    import pyrunc", f"    import sys; sys.path += {site!r}\n    import pyrunc"))

    assert [listed(copy), listed(copy)] == ["cold 0", "warm 0"]
    names = [name for name, *_ in marshal.loads(cache(copy).read_bytes())[1]]
    assert not [name for name in names if name.startswith(("pyrunc.sandbox.native.", "pyrunc.sandbox.seccomp.com"))]


def test_later_modules(copy: Path) -> None:
    """Modules that only some documents need are in the file of `run` from the first time, and load from there alone."""
    script = PROGRAM.replace("status = perform(sys.argv[1:])", "status = 0\nimport pyrunc.cli.run, pyrunc.lifecycle")
    after = """
if warm:
    import pyrunc.specs.seccomp_rules
    assert "pyrunc.sandbox.seccomp" not in sys.modules
    from pyrunc.sandbox.seccomp import cache, filter_for
    import pyrunc.specs.seccomp as found
    assert found.__file__.endswith("/specs/seccomp.py") and found.__spec__.loader.__name__ == "Later", found.__spec__
    assert filter_for.__module__ == "pyrunc.sandbox.seccomp" and cache.__spec__.parent == "pyrunc.sandbox.seccomp"
"""
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", script + after, str(copy), "run"]
    for expected in ("cold 0", "warm 0"):
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert result.stdout.strip().split("\n")[-1] == expected


def test_stale_file_of_modules_not_loaded_now(copy: Path) -> None:
    """After an update the file is made anew by a run that had no need of all that is in it."""
    script = PROGRAM.replace("status = perform(sys.argv[1:])", "status = 0\nimport pyrunc.cli.run, pyrunc.lifecycle")
    more = script.replace("pyrunc.lifecycle", "pyrunc.lifecycle, pyrunc.sandbox.cgroup.steps")
    for program, expected in ((more, "cold 0"), (script, "cold 0"), (script, "warm 0")):
        command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", program, str(copy), "run"]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.stdout.strip().split("\n")[-1] == expected, result.stderr
        if program is more:
            with (copy / "pyrunc/lifecycle.py").open("a") as source:
                source.write("# changed\n")


def test_changed_source_is_seen(copy: Path) -> None:
    """A module that has changed since makes the file stale: the new source counts, and a new file is written."""
    listed(copy)
    source = copy / "pyrunc/cli/list.py"
    source.write_text(source.read_text().replace("def run(", "raise SystemExit('changed')\ndef run("))
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, str(copy), "list", "-q"]

    assert "changed" in subprocess.run(command, capture_output=True, text=True).stderr


@pytest.mark.parametrize(
    "damage", [b"", b"nonsense", marshal.dumps(7), marshal.dumps((compile("1/0", "", "exec"), []))]
)
def test_damaged_file_changes_nothing(copy: Path, damage: bytes) -> None:
    """Whatever is in the file, the command works, and the next file is whole again."""
    listed(copy)
    cache(copy).write_bytes(damage)

    assert [listed(copy), listed(copy)] == ["cold 0", "warm 0"]


def test_moved_package_is_not_mixed(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A copied environment does not load modules of the one that it was copied from."""
    listed(copy)
    other = tmp_path_factory.mktemp("other")
    for name in ("pyrunc", "sandbox", "specs"):
        shutil.copytree(copy / name, other / name, symlinks=True)

    assert listed(other) == "cold 0"


def held(copy: Path) -> list[str]:
    _, modules, later = marshal.loads(cache(copy).read_bytes())
    return sorted(entry[0] for entry in [*modules, *later])


def test_watched_command_leaves_nothing(copy: Path) -> None:
    """A command that logs its steps loads more than others: the file is not made by it."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, str(copy), "--debug", "list", "-q"]
    subprocess.run(command, capture_output=True, check=True)

    assert not cache(copy).exists()


def test_what_was_needed_once_is_kept(copy: Path) -> None:
    """A file that is made anew keeps what commands before have needed, and waits with it until it is asked for."""
    source = copy / "pyrunc/cli/list.py"
    text = source.read_text()
    using = "def run(context: Context, given: Given) -> int:\n"
    source.write_text(text.replace(using, f"{using}    import pyrunc.notify as _\n"))
    assert [listed(copy), listed(copy)] == ["cold 0", "warm 0"]
    assert "pyrunc.notify" in held(copy)
    before = [entry[0] for entry in marshal.loads(cache(copy).read_bytes())[1][:2]]  # with _json, where that is a file

    source.write_text(text)
    assert [listed(copy), listed(copy)] == ["cold 0", "warm 0"]
    _, modules, later = marshal.loads(cache(copy).read_bytes())
    assert "pyrunc.notify" in [entry[0] for entry in later]
    assert [entry[0] for entry in modules[:2]] == before
