"""Makes starts cheaper: all modules that a command loads, compiled and in order, in one file beside Python's own
caches.

Finding and reading 40 modules costs more than executing them. So the first successful run of a command that may write
there leaves `__pycache__/hot.<tag>.<command>`: marshalled (boot code, modules), with the same trust as the .pyc files
around it. The front's program (native/front/handover.c) executes the boot code, which checks time and size of every
source and then executes the modules; a file that is missing or stale changes nothing but the time. Never loaded on the
path that it shortens.
"""

from __future__ import annotations

import ast
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

COMMANDS = (
    "create", "delete", "events", "exec", "features", "kill", "list", "pause", "ps", "resume", "run", "spec", "start",
    "state", "update",
)  # fmt: skip
# Not of every start, and for the most part dear: a filter is compiled once, and that loads libseccomp.
LEFT_OUT = (
    "pyrunc.hot", "pyrunc.__main__", "pyrunc.sandbox.failures", "pyrunc.sandbox.describe", "pyrunc.sandbox.trace",
    "pyrunc.sandbox.seccomp.compile", "pyrunc.sandbox.seccomp.conditions", "pyrunc.sandbox.seccomp.names",
)  # fmt: skip
# Executed at once though functions import them: every container has need of them. All others that a command has loaded
# wait in the file until they are asked for.
ALWAYS = (
    "pyrunc.lifecycle", "pyrunc.execute", "pyrunc.manage", "pyrunc.sandbox.launcher", "pyrunc.sandbox.cgroup.devices",
    "pyrunc.sandbox.cgroup.steps", "pyrunc.sandbox.compile.cgroup_mount", "pyrunc.waiter",
)  # fmt: skip
# What only some documents need, but many have: always in the file, whichever document came first, and executed when it
# is asked for. One module that had to be looked for would cost more than all of them.
LATER = (
    "pyrunc.specs.seccomp", "pyrunc.specs.seccomp_rules", "pyrunc.sandbox.seccomp", "pyrunc.sandbox.seccomp.cache",
)  # fmt: skip
BOOT = """
def boot(modules, later):
    def fresh(entry):
        found = posix.stat(entry[1])
        return found.st_mtime_ns == entry[2] and found.st_size == entry[3]
    for entry in modules:
        if not fresh(entry):
            return False
    if not modules[-1][1].startswith(paths[0] + "/pyrunc/"):  # a copied environment, whose original still exists
        return False
    loaded = sys.modules
    kind = type(sys)
    if later:
        from _frozen_importlib import ModuleSpec
        waiting = {entry[0]: entry for entry in later}
        class Later:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name not in waiting or not fresh(waiting[name]):
                    return None
                found = ModuleSpec(name, Later, origin=waiting[name][1], is_package=waiting[name][4])
                if waiting[name][4]:
                    found.submodule_search_locations.append(found.origin.rpartition("/")[0])
                return found
            @staticmethod
            def create_module(spec):
                return None
            @staticmethod
            def exec_module(module):
                _, module.__file__, _, _, _, code = waiting[module.__name__]
                exec(marshal.loads(code), module.__dict__)
        sys.meta_path.insert(0, Later)
    for name, path, _, _, package, code in modules:
        if code is None:
            import _imp
            class spec:
                pass
            spec.name = name
            spec.origin = path
            loaded[name] = module = _imp.create_dynamic(spec)
            module.__file__ = path
            _imp.exec_dynamic(module)
            continue
        module = loaded[name] = kind(name)
        module.__file__ = path
        parent = name.rpartition(".")[0]
        if package:
            module.__path__ = [path.rpartition("/")[0]]
            parent = name
        module.__package__ = parent
        exec(code, module.__dict__)
    for name, *_ in modules:
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(loaded[parent], child, loaded[name])
    return True
sys._pyrunc_hot = boot(hot[1], hot[2])
sys._pyrunc_stale = not sys._pyrunc_hot
"""


def refresh() -> None:
    """Has `keep` done, if it can be: what was asked for is done, and only the next start is not made cheaper."""
    try:
        keep()
    except Exception:
        pass


def keep() -> None:
    """Writes the file of the command at hand from what is loaded now and what it held before, unless that is nothing
    new. Does nothing where it may not, and for a command that was watched (--debug), which loads more than others.
    """
    command = next((word for word in sys.argv[1:] if word in COMMANDS), "")
    folder = f"{os.path.dirname(os.path.abspath(__file__))}/__pycache__"
    watched = "--debug" in sys.argv or "pyrunc.sandbox.trace" in sys.modules
    if not command or watched or sys.dont_write_bytecode or not os.access(folder, os.W_OK):
        return
    target = f"{folder}/hot.{sys.implementation.cache_tag}.{command}"
    kept = _kept(target)
    names = [*_loaded(), *(name for name in kept if os.path.exists(_source(name)))]
    names += LATER if command in ("create", "exec", "run") else ()
    if not kept.issuperset(names) or getattr(sys, "_pyrunc_stale", True):
        _write(target, command, list(dict.fromkeys(names)))


def _loaded() -> list[str]:
    return [
        name
        for name, module in sys.modules.items()
        # Libraries have no source, and what cffi makes of one is not even a module.
        if name.split(".")[0] == "pyrunc" and name not in LEFT_OUT and vars(module).get("__file__", "").endswith(".py")
    ]


def _kept(target: str) -> set[str]:
    """The modules that the file holds now; none when it is not there or damaged."""
    try:
        with open(target, "rb") as file:
            _, modules, later = marshal.load(file)
        return {entry[0] for entry in [*modules, *later] if entry[0].split(".")[0] == "pyrunc"}
    except (OSError, ValueError, EOFError, TypeError):
        return set()


def _write(target: str, command: str, names: list[str]) -> None:
    first = _in_order([name for name in ("pyrunc.cli", f"pyrunc.cli.{command}", *ALWAYS) if name in names], names)
    # __future__ is a real module, and the only one of the standard library that would have to be looked for.
    modules = [_entry(name) for name in ("__future__", *first)]
    # The same for _json, which most Pythons have as a library of its own: found once, loaded from there.
    library = getattr(sys.modules.get("_json"), "__file__", None)
    if library:
        found = os.stat(library)
        modules.insert(0, ("_json", library, found.st_mtime_ns, found.st_size, False, None))
    # Bytes within bytes: what nobody asks for is not even unpacked.
    later = [(*entry[:5], marshal.dumps(entry[5])) for entry in map(_entry, (n for n in names if n not in first))]
    hidden = f"{target}.{os.getpid()}"
    # Whoever may write it has root execute what they like: never by the umask alone.
    fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(fd, "wb") as file:
        file.write(marshal.dumps((compile(BOOT, "pyrunc.hot", "exec"), modules, later)))
    os.rename(hidden, target)


def _entry(name: str) -> tuple[str, str, int, int, bool, CodeType | None]:
    path = _source(name)
    found = os.stat(path)
    with open(path, "rb") as file:
        tree = ast.parse(file.read())
    code = compile(ast.fix_missing_locations(Bare().visit(tree)), "pyrunc", "exec", dont_inherit=True, optimize=2)
    package = os.path.basename(path) == "__init__.py"
    return name, path, found.st_mtime_ns, found.st_size, package, _without_lines(code)


def _source(name: str) -> str:
    """The file of a module, which need not be loaded."""
    module = sys.modules.get(name)
    if module is not None and module.__file__ is not None:
        return module.__file__
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/" + name.replace(".", "/")
    return f"{home}/__init__.py" if os.path.isdir(home) else f"{home}.py"


class Bare(ast.NodeTransformer):
    """Takes out what only readers and type checkers need: annotations, and blocks under TYPE_CHECKING."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], self.visit(node.value))

    def visit_If(self, node: ast.If) -> ast.stmt:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse:
            return ast.Pass()
        self.generic_visit(node)
        return node


def _without_lines(code: CodeType) -> CodeType:
    """Line numbers are a quarter of the bytes, and only --debug shows them: it does not take this way (handover.c)."""
    inner = tuple(_without_lines(item) if isinstance(item, type(code)) else item for item in code.co_consts)
    return code.replace(co_linetable=b"", co_consts=inner)


def _in_order(roots: list[str], names: list[str]) -> list[str]:
    """The roots and what they import at their top level, every module after those that it imports. A package may come
    after its modules: nobody asks for it."""
    order: list[str] = []
    begun: set[str] = set()

    def visit(name: str) -> None:
        if name in begun or name not in names:
            return
        begun.add(name)
        for needed in _imports(name):
            visit(needed)
        visit(name.rpartition(".")[0])
        order.append(name)

    for name in roots:
        visit(name)
    return order


def _imports(name: str) -> list[str]:
    with open(_source(name), "rb") as file:
        tree = ast.parse(file.read())
    found = []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            found.append(statement.module)
            found += [f"{statement.module}.{alias.name}" for alias in statement.names]
        elif isinstance(statement, ast.Import):
            found += [alias.name for alias in statement.names]
    return found
