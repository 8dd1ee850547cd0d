"""What our own interpreter executes first (setup.py compiles it into sandbox/native/interpreter.c): late finishing,
warm modules, the command. Never imported.

The interpreter starts half-way: types, builtins, built-in and frozen modules are there; the search for modules in
files, codecs and the standard streams are not, and half of a start's cost is theirs. The commands of a container's life
need none of them when `pyrunc.hot` has left their modules. Whatever does need them finishes the start here, once. Must
import only built-in modules; `finish`, `executable`, `library`, `arguments`, `paths` and `launcher` are given by
C.
"""

# mypy: ignore-errors
# ruff: noqa: F821
import builtins
import gc
import marshal
import posix
import sys

COMMANDS = (
    "create", "run", "exec", "start", "state", "kill", "delete", "list", "ps", "pause", "resume", "update", "events",
    "features", "spec",
)  # fmt: skip

gc.disable()
finished = False


def finish_start():
    """The rest of Python's start; keeps what was set here before."""
    global finished
    if not finished:
        finished = True
        argv = sys.argv
        finish()
        sys.argv = argv
        sys._stdlib_dir = library
        sys.modules["encodings"].__path__ = [f"{library}/encodings"]  # only the first codec of it is compiled in
        sys.path += paths


class LateFinder:
    """The last to be asked for a module: one in a file. PathFinder, which the rest of the start adds, comes after."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("pyrunc."):
            sys._pyrunc_hot = False  # it belongs into the file
        finish_start()


class LateStream:
    """Stands for sys.stdin, stdout or stderr until somebody uses it."""

    def __init__(self, name):
        self.name = name

    def flush(self):
        if finished:
            getattr(sys, self.name).flush()

    def __getattr__(self, attribute):
        finish_start()
        return getattr(getattr(sys, self.name), attribute)


def late_open(*args, **options):
    """Stands for the built-in function, which the rest of the start makes."""
    finish_start()
    return builtins.open(*args, **options)


def warm():
    """Executes what pyrunc.hot left for this command; whatever is wrong with it, modules are found one by one."""
    if "--debug" in arguments:
        return
    try:
        name = next(word for word in arguments if word in COMMANDS)
        tag = sys.implementation.cache_tag
        file = posix.open(f"{paths[0]}/pyrunc/__pycache__/hot.{tag}.{name}", posix.O_RDONLY | posix.O_CLOEXEC)
        hot = marshal.loads(posix.read(file, 1 << 24))
        posix.close(file)
        exec(hot[0], {"hot": hot, "sys": sys, "posix": posix, "marshal": marshal, "paths": paths})
    except Exception:
        pass


sys.argv = ["pyrunc", *arguments]
sys.executable = executable
sys._stdlib_dir = library  # or frozen modules would have no __file__ and frozen packages no __path__
sys.path = list(paths)
sys.stdin, sys.stdout, sys.stderr = LateStream("stdin"), LateStream("stdout"), LateStream("stderr")
sys.meta_path.append(LateFinder)
builtins.open = late_open
sys._pyrunc_hot = False
warm()
from pyrunc.cli import main  # noqa: E402

main(None, launcher)
