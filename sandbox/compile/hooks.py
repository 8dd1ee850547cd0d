"""Compiles the hooks that belong to a container's making (config.md "POSIX-platform Hooks"). Only loaded when there are
any.

prestart and createRuntime run on the host while init waits; createContainer inside the namespaces, before the pivot,
because their paths are the runtime's; startContainer in the container, after `start`, because their paths are the
container's.
"""

from __future__ import annotations

from pyrunc.sandbox.plan import RENDEZVOUS_NUMBER, host, op, sync

try:
    from _json import encode_basestring_ascii as quote
except ImportError:
    from json.encoder import encode_basestring_ascii as quote

OUTPUT = "run.oci.hooks."  # crun's annotations, with `stdout` or `stderr`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.compile.create import Request
    from pyrunc.sandbox.plan import Operation, Plan
    from pyrunc.specs.runtime import Spec
    from pyrunc.specs.sections import Hook


def create_hooks(plan: Plan, spec: Spec, request: Request) -> None:
    """prestart before createRuntime before createContainer, all before the pivot."""
    hooks = spec.hooks
    assert hooks is not None
    number = RENDEZVOUS_NUMBER["hooks"]
    waiting = [kind for kind, found in (("prestart", hooks.prestart), ("createRuntime", hooks.create_runtime)) if found]
    if waiting:
        plan.init.append(sync("hooks", "hooks", "hooks"))
        plan.host.append(host("await", "hooks", number))
        for kind in waiting:
            plan.host.append(host("hooks", f"hooks.{kind}", kind))
        plan.host.append(host("answer", "hooks", number))
    if hooks.create_container:
        _outputs(plan, spec, request, "hooks")
        # Their working folder is the root to be, as with other runtimes; the pivot comes with its own.
        plan.init.append(op("chdir", "hooks.createContainer", "/", phase="hooks"))
    for index, hook in enumerate(hooks.create_container):
        plan.init.append(_hook(spec, request, hook, "creating", f"hooks.createContainer[{index}]", "hooks"))


def start_hooks(plan: Plan, spec: Spec, request: Request) -> None:
    """startContainer: after the start, before the program."""
    assert spec.hooks is not None
    if spec.hooks.start_container and not spec.hooks.create_container:
        _outputs(plan, spec, request, "start")
    for index, hook in enumerate(spec.hooks.start_container):
        plan.init.append(_hook(spec, request, hook, "created", f"hooks.startContainer[{index}]", "seal"))


def _outputs(plan: Plan, spec: Spec, request: Request, phase: str) -> None:
    """Files that get what hooks write, if the annotations name any (hooks.py has those that run on the host)."""
    slots = []
    launch = next(index for index, item in enumerate(plan.host) if item.name == "launch")
    for stream in ("stdout", "stderr"):
        path = spec.annotations.get(OUTPUT + stream, "")
        slots.append(f"hook {stream}" if path else "")
        if path:
            path = path if path.startswith("/") else f"{request.bundle}/{path}"
            plan.host.insert(launch, host("append_to", f'annotations["{OUTPUT}{stream}"]', slots[-1], path))
            launch += 1
    if any(slots):
        plan.init.append(op("hook_output", "annotations", *slots, phase=phase))


def _hook(spec: Spec, request: Request, hook: Hook, status: str, pointer: str, phase: str) -> Operation:
    """A hook that init runs; the state on its standard input has init's own idea of its pid between `head` and
    `tail`."""
    head = f'{{"ociVersion":{quote(spec.oci_version)},"id":{quote(request.id)},"pid":'
    tail = f',"status":"{status}","bundle":{quote(request.bundle)}'
    if spec.annotations:
        pairs = ",".join([f"{quote(key)}:{quote(value)}" for key, value in spec.annotations.items()])
        tail += f',"annotations":{{{pairs}}}'
    # An absent environment is an empty one, but runc gives startContainer hooks that of the process.
    tolerate = "keep_env" if phase == "seal" and not hook.env else ""
    return op(
        "hook", pointer, (hook.timeout or 0) * 1000, hook.path, hook.args or (hook.path,), hook.env or (),
        head.encode("utf-8", "surrogateescape"), (tail + "}").encode("utf-8", "surrogateescape"),
        tolerate=tolerate, phase=phase,
    )  # fmt: skip
