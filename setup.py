"""The native half of the build; everything else stands in pyproject.toml. Tests compile the programs through it too.

    cffi modules     sandbox/native/build.py                 -> pyrunc/sandbox/native/_*.abi3.so
    launcher, waiter sandbox/native/launcher, .../front      -> pyrunc/sandbox/native/bin/
    python3.x        sandbox/native/interpreter.c            -> the same, where Python comes as a static library
    front            sandbox/native/front                    -> the scripts folder, as `pyrunc`

An editable install (pip install -e) builds in place. PYRUNC_NO_FRONT=1, or a compiler that cannot build the front,
gives an ordinary script in its place. CC, CFLAGS and LDFLAGS are honoured. Must not write a path of this machine into
anything but an editable install: pip keeps wheels and installs them elsewhere.
"""

from __future__ import annotations

import ast
import glob
import marshal
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError, SetupError
from setuptools.extension import Extension

try:
    from setuptools.command.build_scripts import build_scripts  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from distutils.command.build_scripts import build_scripts

TOP = os.path.dirname(os.path.abspath(__file__))
NATIVE = "sandbox/native"

# The launcher does without a C library on machines that it knows: less than 50 kB instead of 700 to copy and page in
# for every container (sandbox/native/launcher/runtime.c).
FREESTANDING = [
    "-DFREESTANDING", "-ffreestanding", "-fno-pie", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
    "-U_FORTIFY_SOURCE", "-nostdlib", "-Wl,-z,noseparate-code", "-Wl,-z,norelro", "-Wl,--build-id=none",
]  # fmt: skip
CFLAGS = ["-std=gnu11", "-Os", "-Wall", "-Wextra", "-Wswitch-enum", "-Werror", "-ffunction-sections", "-fdata-sections"]
LDFLAGS = ["-Wl,--gc-sections", "-s"]

MODULES = ("files", "plain", "seccomp")
SHARED = [f"{NATIVE}/front/{name}.c" for name in ("state", "delete")]
FRONT_PARTS = ("front", "handover", "early", "report", "signals", "streams")
FRONT = [*(f"{NATIVE}/front/{name}.c" for name in FRONT_PARTS), *SHARED]
PROGRAMS = {
    "launcher": [*sorted(glob.glob(f"{NATIVE}/launcher/*.c")), f"{NATIVE}/path.c"],
    "waiter": [*(f"{NATIVE}/front/{name}.c" for name in ("waiter", "terminal", "notify")), *SHARED],
}

INTERPRETER, BOOT = f"{NATIVE}/interpreter.c", "pyrunc/boot.py"

# Which Debian package a cffi module needs, said when it cannot be built.
LIBRARIES = {"pyrunc.sandbox.native._seccomp": "libseccomp-dev (the library and its header seccomp.h)"}

# What the front must know, and where it is written down once.
CONSTANTS = {
    "PYRUNC_VERSION": ("pyrunc/version.py", "VERSION"),
    "PYRUNC_COMMIT": ("pyrunc/version.py", "COMMIT"),
    "PYRUNC_SPEC": ("specs/runtime.py", "VERSION"),
}

SCRIPT = """#!python
import sys

from pyrunc.cli import main

sys.exit(main())
"""


def constant(path: str, name: str) -> str:
    """The value of a module's constant, without importing the package that is being built."""
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        for node in ast.parse(file.read()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return str(ast.literal_eval(node.value))
    raise SetupError(f"{path} does not say what {name} is")


def compile_program(sources: list[str], target: str, defines: dict[str, str] | None = None) -> None:
    """Compiles and links one program: static, so that no library of the host or its loader has a part in a start."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    cflags = [*CFLAGS, f"-I{NATIVE}", *shlex.split(os.environ.get("CFLAGS", ""))]
    cflags += [f'-D{name}="{value}"' for name, value in (defines or {}).items() if value]
    ldflags = [*LDFLAGS, *shlex.split(os.environ.get("LDFLAGS", ""))]
    os.makedirs(os.path.dirname(target), exist_ok=True)
    name = os.path.basename(target)
    ways = [["-static"], []]
    if name == "launcher" and os.uname().machine in ("x86_64", "aarch64"):
        ways.insert(0, [*FREESTANDING, "-static"])
    complaint = ""
    for static in ways:
        command = [*compiler, *cflags, *sources, "-o", target, *ldflags, *static]
        try:
            result = subprocess.run(command, cwd=TOP, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise CompileError(f"cannot build {name}: {error}; it needs a C compiler (gcc, libc6-dev)") from None
        if result.returncode == 0:
            break
        complaint = complaint or result.stderr
    else:
        raise CompileError(f"cannot build {name}: {shlex.join(command)}\n{result.stderr}")
    if complaint:
        how = "statically, with a C library" if static else "dynamically"
        print(f"warning: {name} is linked {how}: {complaint}", file=sys.stderr)


def boot_header() -> str:
    """boot.py, and the modules that Python needs for its first codec, as arrays of C. Codecs may be asked for before
    modules in files can be found, and the search for those needs a codec."""
    encodings = os.path.join(sysconfig.get_path("stdlib"), "encodings")
    parts = {
        "boot_code": ("pyrunc.boot", os.path.join(TOP, BOOT)),
        "encodings_code": ("<frozen encodings>", os.path.join(encodings, "__init__.py")),
        "aliases_code": ("<frozen encodings.aliases>", os.path.join(encodings, "aliases.py")),
        "utf_8_code": ("<frozen encodings.utf_8>", os.path.join(encodings, "utf_8.py")),
    }
    lines = []
    for name, (shown, path) in parts.items():
        with open(path, encoding="utf-8") as file:
            code = marshal.dumps(compile(file.read(), shown, "exec", dont_inherit=True, optimize=2))
        lines.append(f"static const unsigned char {name}[] = {{{', '.join(map(str, code))}}};\n")
    return "".join(lines)


def compile_interpreter(folder: str) -> None:
    """Links Python into our own program (interpreter.c), or leaves it out: everything works without it, more slowly."""
    folder_of, library, *asked = (
        sysconfig.get_config_var(name) or "" for name in ("LIBPL", "LIBRARY", "LIBS", "MODLIBS", "SYSLIBS")
    )
    library = os.path.join(folder_of, library)
    if not library.endswith(".a") or not os.path.exists(library):
        print(f"warning: no static library of Python ({library}); starts take 2 ms longer", file=sys.stderr)
        return
    target = os.path.join(folder, f"python{sys.version_info.major}.{sys.version_info.minor}")
    # As few libraries as can be: each costs the loader 0.1 ms. Named once, in the order that Python gives.
    names = list(dict.fromkeys(" ".join(asked).split()))
    shared = [item for item in names if item in ("-lm", "-ldl", "-lpthread", "-lutil") or not item.startswith("-l")]
    others = [item for item in names if item not in shared]
    ways = ([f"-l:lib{item[2:]}.a" for item in others], others)
    with tempfile.TemporaryDirectory() as scratch:
        with open(os.path.join(scratch, "boot.h"), "w", encoding="ascii") as header:
            header.write(boot_header())
        compiler = [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]
        compiler += [f"-I{scratch}", f"-I{sysconfig.get_path('include')}", os.path.join(TOP, INTERPRETER)]
        for libraries in ways:
            # Fixed addresses (nothing to relocate), and its symbols visible: modules in files need them.
            command = [*compiler, "-o", target, "-no-pie", "-rdynamic", "-s", library, *libraries, *shared]
            result = subprocess.run(command, cwd=TOP, stderr=subprocess.PIPE, text=True)
            if result.returncode == 0:
                return
    print(f"warning: {shlex.join(command)}: {result.stderr}\nstarts take 2 ms longer", file=sys.stderr)


class BuildNative(build_ext):
    """The cffi modules, then the programs that go beside them."""

    def run(self) -> None:
        super().run()
        folder = os.path.join(TOP, NATIVE if self.inplace else os.path.join(self.build_lib, "pyrunc", NATIVE), "bin")
        for name, sources in PROGRAMS.items():
            compile_program(sources, os.path.join(folder, name))
        compile_interpreter(folder)

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except (CompileError, LinkError) as error:
            need = f"; it needs {LIBRARIES[ext.name]}" if ext.name in LIBRARIES else ""
            raise type(error)(f"cannot build {ext.name}: {error}{need}") from None


class BuildFront(build_scripts):  # type: ignore[misc, unused-ignore]
    """`pyrunc` itself: the front, or a script that does the same more slowly."""

    editable_mode = False  # set by setuptools

    def run(self) -> None:
        target = os.path.join(TOP, self.build_dir, "pyrunc")
        defines = {name: constant(*place) for name, place in CONSTANTS.items()}
        if self.editable_mode:
            defines["PYRUNC_SOURCE"] = TOP
            defines["PYRUNC_PYTHON"] = f"python{sys.version_info.major}.{sys.version_info.minor}"
        if os.environ.get("PYRUNC_NO_FRONT") != "1":
            try:
                compile_program(FRONT, target, defines)
                return
            except CompileError as error:
                print(f"warning: {error}; `pyrunc` becomes a script, which starts more slowly", file=sys.stderr)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as file:
            file.write(SCRIPT)

    def get_source_files(self) -> list[str]:
        return FRONT


def documents() -> list[tuple[str, list[str]]]:
    """Man pages and completions, made from the commands' own tables, with where they are installed."""
    sys.path.insert(0, TOP)
    from pyrunc.cli.man import pages
    from pyrunc.cli.shells import SHELLS

    homes = {"bash": ("bash-completion/completions", "pyrunc"), "zsh": ("zsh/site-functions", "_pyrunc")}
    homes["fish"] = ("fish/vendor_completions.d", "pyrunc.fish")
    made = [("man/man8", name, text) for name, text in pages().items()]
    made += [(*homes[shell], write()) for shell, write in SHELLS.items()]
    found: dict[str, list[str]] = {}
    for home, name, text in made:
        path = f"build/share/{home}/{name}"
        os.makedirs(os.path.dirname(os.path.join(TOP, path)), exist_ok=True)
        with open(os.path.join(TOP, path), "w", encoding="utf-8") as file:
            file.write(text)
        found.setdefault(f"share/{home}", []).append(path)
    return list(found.items())


if __name__ == "__main__":
    setup(
        cffi_modules=[f"{NATIVE}/build.py:{module}" for module in MODULES],
        scripts=[f"{NATIVE}/front/front.c"],
        data_files=documents(),
        cmdclass={"build_ext": BuildNative, "build_scripts": BuildFront},
        # One wheel for every Python from 3.11 on: the modules keep to the stable ABI, the programs have none.
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
