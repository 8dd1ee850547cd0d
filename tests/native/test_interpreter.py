"""The interpreter of our own: it must do what Python does, only sooner. Whole containers run by it in tests/system."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def own(tree: Path) -> list[str]:
    """The beginning of its command line, as the front writes it."""
    program = tree / "sandbox/native/bin" / NAME
    if not program.exists():
        pytest.skip(f"{program.name} is not built: this Python came without a static library")
    paths = f"{tree}:{sysconfig.get_path('platlib')}"
    return [str(program), sys.executable, sys.base_prefix, NAME, paths, ""]


def answer(command: list[str], arguments: list[str | bytes], stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, timeout=60)
    return done.returncode, done.stdout, re.sub(rb'time="[^"]*"', b"", done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["state", "none"],
        ["state", b"\xff\xfe"],
        ["spec", "--help"],
        ["run"],
        ["run", "--flag"],
        ["run", "--bundle", "/nonexistent", "none"],
        ["run", "--bundle", b"/tmp/\xc3\xa4\xff", "none"],
        ["create", "--bundle", "BROKEN", "none"],
        ["image", "unpack", "oci:BROKEN", "BROKEN/bundle"],
        ["--log-format", "xml", "run", "none"],
        ["exec", "none", "true"],
        ["update", "-r", "-", "none"],
        ["update", "-r", "/proc/self/cmdline", "none"],
    ],
    ids=repr,
)
def test_as_python(own: list[str], tmp_path: Path, arguments: list[str | bytes]) -> None:
    """Output, errors and exit code are those of the ordinary interpreter, whatever the start had to be finished for."""
    root: list[str | bytes] = ["--root", str(tmp_path)]
    (tmp_path / "config.json").write_bytes(b'{"ociVersion": "\xff"}')  # takes a codec's error handler
    (tmp_path / "rootfs").mkdir()
    arguments = [word.replace("BROKEN", str(tmp_path)) if isinstance(word, str) else word for word in arguments]

    ours = answer(own, [*root, *arguments], b"{}")

    assert ours == answer([sys.executable, "-I", "-m", "pyrunc"], [*root, *arguments], b"{}")


def test_settings(own: list[str], tree: Path, tmp_path: Path) -> None:
    """Once its start is finished it is an isolated Python without `site`, in UTF-8, with the same library."""
    (tmp_path / "pyrunc/cli").mkdir(parents=True)
    (tmp_path / "pyrunc/__init__.py").write_text("")
    (tmp_path / "pyrunc/cli/__init__.py").write_text(
        "import json, sys\n"
        "def main(arguments, launcher):\n"
        "    flags = sys.flags\n"
        "    import os, sysconfig\n"
        "    print(json.dumps([sys.executable, sys.version, os.__file__, flags.isolated, flags.no_site,\n"
        "          flags.utf8_mode, 'site' in sys.modules, sys.argv, launcher]))\n"
        "    sys.stdout.flush()\n"
        "    os._exit(7)\n"
    )
    import json
    import os

    code, out, err = answer([*own[:4], str(tmp_path), "12:34"], ["a", "b c"])

    assert (code, err) == (7, b"")
    assert json.loads(out) == [
        sys.executable, sys.version, os.__file__, 1, 1, 1, False, ["pyrunc", "a", "b c"], "12:34",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "use",
    [
        "b'\\xff'.decode()",
        "b'\\xff'.decode('utf-8', 'surrogateescape')",
        "'\\udcff'.encode('utf-8', 'surrogateescape')",
        "b'\\xff'.decode('latin-1')",
        "'ä'.encode('ascii', 'backslashreplace')",
        "b'a'.decode('punycode')",
        "'ä'.encode('idna')",
        "b'a'.decode('no such codec')",
    ],
)
def test_codecs(own: list[str], tmp_path: Path, use: str) -> None:
    """A codec, or its complaint, is the same before and after the start is finished."""
    (tmp_path / "pyrunc/cli").mkdir(parents=True)
    (tmp_path / "pyrunc/__init__.py").write_text("")
    (tmp_path / "pyrunc/cli/__init__.py").write_text("")
    (tmp_path / "pyrunc/__pycache__").mkdir()
    program = (
        f"def use():\n  try: return repr({use})\n  except Exception as error: return repr(error)\n"
        "first = use()\nimport json, os\nos.write(1, f'{first}\\n{use()}'.encode('ascii', 'replace'))\nos._exit(0)"
    )
    # In place of what pyrunc.hot leaves: executed while only half of the start is done.
    import marshal

    hot = marshal.dumps((compile(program, "hot", "exec"), [], []))
    (tmp_path / f"pyrunc/__pycache__/hot.{sys.implementation.cache_tag}.run").write_bytes(hot)

    code, out, err = answer([*own[:4], str(tmp_path), ""], ["run"])

    assert (code, err) == (0, b"")
    first, second = out.decode().split("\n")
    assert first == second


@pytest.mark.parametrize("finished", [False, True], ids=["half", "finished"])
@pytest.mark.parametrize("ignored", [False, True], ids=["default", "ignored"])
def test_interrupt(own: list[str], tmp_path: Path, finished: bool, ignored: bool) -> None:
    """Ctrl-C is KeyboardInterrupt before and after the start is finished, unless the caller has it ignored."""
    (tmp_path / "pyrunc/cli").mkdir(parents=True)
    (tmp_path / "pyrunc/__init__.py").write_text("")
    (tmp_path / "pyrunc/cli/__init__.py").write_text(
        "import posix, time\n"
        "def main(arguments, launcher):\n"
        f"    {'import json' if finished else 'pass'}\n"
        "    posix.write(1, b'ready\\n')\n"
        "    try:\n"
        "        time.sleep(0.7)\n"
        "    except KeyboardInterrupt:\n"
        "        posix._exit(130)\n"
        "    posix._exit(0)\n"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        process = subprocess.Popen([*own[:4], str(tmp_path), ""], stdout=subprocess.PIPE, restore_signals=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate()

    assert process.returncode == (0 if ignored else 130)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compiles(build: dict, tmp_path: Path, compiler: str, monkeypatch: pytest.MonkeyPatch, own: list[str]) -> None:
    """It compiles without a warning, and where Python has no static library it is left out without an error."""
    import shutil

    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    monkeypatch.setenv("CC", compiler)
    build["compile_interpreter"](str(tmp_path))
    assert (tmp_path / NAME).exists()

    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "/nonexistent")
    build["compile_interpreter"](str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
