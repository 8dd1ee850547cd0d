"""What is installed, and that it runs: wheel, editable, moved, system Python, without a compiler for the front."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.packaging.conftest import Environment, run

pytestmark = pytest.mark.slow


def is_elf(path: Path) -> bool:
    return path.read_bytes()[:4] == b"\x7fELF"


class Start(NamedTuple):
    """How the front starts Python: the ordinary interpreter's path, what goes on sys.path, the whole command line."""

    interpreter: str
    paths: list[str]
    arguments: list[str]


def works(pyrunc: Path, tmp_path: Path) -> Start:
    """Uses both halves of an installed pyrunc; tells which Python its front starts, its own one or the ordinary."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    version = runpy.run_path(str(Path(__file__).parents[2] / "pyrunc/version.py"))["VERSION"]
    assert run(pyrunc, "--version").startswith(f"pyrunc version {version}\n")
    assert run(pyrunc, "--root", tmp_path, "list", "--quiet", cwd="/") == ""
    assert '"ociVersionMin"' in run(pyrunc, "features", cwd="/", env={})
    trace = subprocess.run(
        ["strace", "-e", "trace=execve", "-s", "4096", pyrunc, "help"], capture_output=True, text=True
    )
    last = [line for line in trace.stderr.splitlines() if line.startswith("execve") and line.endswith("= 0")][-1]
    program, *arguments = re.findall(r'"((?:[^"\\]|\\.)*)"', last)
    if "/native/bin/python3" in program:
        return Start(arguments[1], arguments[4].split(":"), arguments)
    return Start(arguments[0], arguments[7].split(":") if "-S" in arguments else [], arguments)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("venv") / "env")
    environment.install(wheel)
    return environment


def test_wheel_holds_everything(wheel: Path, tree: Path) -> None:
    """Every module and data file of the packages, the cffi modules, the programs and the front are in the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        f"pyrunc/{path.relative_to(tree).as_posix().removeprefix('pyrunc/')}"
        for folder in ("pyrunc", "sandbox", "specs")
        for path in (tree / folder).rglob("*")
        if path.suffix in (".py", ".pyi", ".json") or path.name == "py.typed"
    }
    modules = {
        f"pyrunc/sandbox/native/{path.stem}.abi3.so" for path in (tree / "sandbox/native").glob("_[!_]*.pyi")
    }
    programs = {f"pyrunc/sandbox/native/bin/{name}" for name in ("launcher", "waiter")}

    assert sources - names == set()
    assert modules - names == set()
    assert programs - names == set()
    assert any(name.endswith(".data/scripts/pyrunc") for name in names)
    assert not any(name.startswith(("sandbox/", "specs/", "tests/")) for name in names)


def test_wheel_has_documents(wheel: Path) -> None:
    """Man pages and completions go where the system looks for them."""
    names = {name.partition(".data/data/")[2] for name in zipfile.ZipFile(wheel).namelist()}

    assert {
        "share/man/man8/pyrunc.8", "share/man/man8/pyrunc-run.8", "share/bash-completion/completions/pyrunc",
        "share/zsh/site-functions/_pyrunc", "share/fish/vendor_completions.d/pyrunc.fish",
    } <= names  # fmt: skip


def test_wheel_serves_every_python(wheel: Path) -> None:
    """One wheel for Python 3.11 and everything later."""
    assert "-cp311-abi3-linux_" in wheel.name


def test_wheel_names_no_path_of_this_machine(wheel: Path, copy: Path) -> None:
    """pip keeps wheels and installs them elsewhere: neither the source's nor the interpreter's path is in the front."""
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".data/scripts/pyrunc")]
    front = archive.read(name)

    assert str(copy).encode() not in front
    assert str(Path(sys.prefix)).encode() not in front


def test_installed(environment: Environment, tmp_path: Path) -> None:
    """The front is a program that starts our own interpreter, and where that is missing the environment's without
    site."""
    start = works(environment.pyrunc, tmp_path)

    assert is_elf(environment.pyrunc)
    assert start.interpreter.startswith(str(environment.path / "bin/python3."))
    assert start.paths[0] == str(environment.packages)
    for own in (environment.packages / "pyrunc/sandbox/native/bin").glob("python3.*"):
        assert start.arguments[0] == "pyrunc"
        own.rename(own.with_name("away"))
        ordinary = works(environment.pyrunc, tmp_path)
        own.with_name("away").rename(own)
        assert ordinary.arguments[1:5] == ["-I", "-S", "-X", "utf8"]
        assert ordinary[:2] == start[:2]


def test_programs_are_executable(environment: Environment) -> None:
    """pip keeps the mode of what the launcher and the waiter are."""
    for name in ("launcher", "waiter"):
        assert os.access(environment.packages / "pyrunc/sandbox/native/bin" / name, os.X_OK)


def test_native_modules_load(environment: Environment) -> None:
    """The cffi modules can be imported as the front's Python would."""
    program = f"import sys; sys.path.append({str(environment.packages)!r}); import pyrunc.sandbox.native._files"

    run(environment.path / "bin/python", "-I", "-S", "-c", program)


def test_moved_environment(environment: Environment, tmp_path: Path) -> None:
    """A virtual environment that has been moved, or is reached through a link, still works."""
    moved = tmp_path / "moved here"
    shutil.copytree(environment.path, moved, symlinks=True)
    (tmp_path / "link").symlink_to(moved / "bin/pyrunc")

    assert works(moved / "bin/pyrunc", tmp_path).interpreter.startswith(str(moved))
    assert works(tmp_path / "link", tmp_path).interpreter.startswith(str(moved))


def test_environment_with_the_systems_packages(environment: Environment, tmp_path: Path) -> None:
    """An environment that sees the system's packages lets Python itself work out where they are."""
    other = tmp_path / "env"
    shutil.copytree(environment.path, other, symlinks=True)
    config = (other / "pyvenv.cfg").read_text()
    (other / "pyvenv.cfg").write_text(config.replace("site-packages = false", "site-packages = true"))

    assert "-m" in works(other / "bin/pyrunc", tmp_path).arguments


def test_python_alone(environment: Environment, tmp_path: Path) -> None:
    """`python -m pyrunc` is the same command."""
    assert run(environment.path / "bin/python", "-m", "pyrunc", "--version") == run(environment.pyrunc, "--version")


def test_editable(copy: Path, tmp_path: Path) -> None:
    """An editable install is one plain path, has everything compiled in place, and sees a changed source at once."""
    source = tmp_path / "source"
    shutil.copytree(copy, source, symlinks=True)
    environment = Environment(tmp_path / "env")
    environment.install("--editable", source)
    (path,) = environment.packages.glob("__editable__*")
    assert path.suffix == ".pth" and Path(path.read_text().strip()) == source
    assert not list(environment.packages.glob("__editable__*finder*"))
    assert is_elf(source / "sandbox/native/bin/launcher") and is_elf(source / "sandbox/native/bin/waiter")
    start = works(environment.pyrunc, tmp_path)
    assert start.paths[:2] == [str(source), str(environment.packages)]
    with (source / "pyrunc/cli/__init__.py").open("a") as file:
        file.write("\nraise SystemExit('changed')\n")

    assert "changed" in subprocess.run([environment.pyrunc, "list"], capture_output=True, text=True).stderr


def test_without_front(copy: Path, tmp_path: Path) -> None:
    """With PYRUNC_NO_FRONT=1 an ordinary script does the same."""
    environment = Environment(tmp_path / "env")
    environment.install(copy, env={"PYRUNC_NO_FRONT": "1"})

    assert not is_elf(environment.pyrunc)
    assert run(environment.pyrunc, "--version").startswith("pyrunc version ")


def test_without_a_static_library(copy: Path, tmp_path: Path) -> None:
    """Where programs cannot be linked statically they are linked dynamically."""
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\nfor a; do [ "$a" = -static ] && exit 1; done\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    environment = Environment(tmp_path / "env")
    environment.install(copy, env={"CC": str(compiler)})
    works(environment.pyrunc, tmp_path)

    assert b"ld-linux" in environment.pyrunc.read_bytes()


def test_front_that_does_not_compile(copy: Path, tmp_path: Path) -> None:
    """A compiler that fails on the front alone costs speed and nothing else."""
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\nfor a; do case "$a" in */front.c) exit 1;; esac; done\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    environment = Environment(tmp_path / "env")
    environment.install(copy, env={"CC": str(compiler)})

    assert not is_elf(environment.pyrunc)
    assert run(environment.pyrunc, "--version").startswith("pyrunc version ")


def test_source_distribution(copy: Path, tmp_path: Path) -> None:
    """A wheel can be made of the source distribution as well."""
    program = "import setuptools.build_meta as b, sys; print(b.build_sdist(sys.argv[1]))"
    name = run(sys.executable, "-c", program, tmp_path, cwd=copy).split()[-1]
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, tmp_path / name)
    (wheel,) = tmp_path.glob("*.whl")

    assert any(item.endswith(".data/scripts/pyrunc") for item in zipfile.ZipFile(wheel).namelist())


SYSTEM = """
set -e
mount -t tmpfs tmpfs /usr/local
mount -t tmpfs tmpfs /opt
{python} -m pip --python /usr/bin/python3 install --quiet --no-deps --break-system-packages {options} {wheel}
export PATH=/nowhere
exec {pyrunc} help
"""


@pytest.mark.parametrize(
    ("options", "pyrunc"), [("", "/usr/local/bin/pyrunc"), ("--prefix /opt/box", "/opt/box/*bin/pyrunc")]
)
@pytest.mark.usefixtures("root")
def test_system_python(wheel: Path, tmp_path: Path, options: str, pyrunc: str) -> None:
    """The system's own Python, in Debian's layout and below another prefix; PATH has no part in finding it."""
    if not Path("/usr/bin/python3").exists() or "--break" not in run(sys.executable, "-m", "pip", "help", "install"):
        pytest.skip("no Python of the system, or a pip that cannot install for it")
    kept = tmp_path / wheel.name
    shutil.copy(wheel, kept)
    pyrunc = pyrunc.replace("*", "local/" if Path("/etc/debian_version").exists() else "")
    script = SYSTEM.format(python=sys.executable, options=options, wheel=kept, pyrunc=pyrunc)
    shown = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True)

    assert shown.returncode == 0, shown
    assert "pyrunc" in shown.stdout
