"""Compiles a root file system of layers that overlayfs stacks: the first mount of the document, when it is one on `/`.

    {"destination": "/", "type": "overlay", "options": ["lowerdir+=UPPERMOST", ..., "upperdir=upper", "workdir=work"]}

The options are the kernel's own; relative paths start at the bundle, as sources of binds do. Seldom loaded. Pure.
"""

from __future__ import annotations

from pyrunc.sandbox.compile.mounts import RDONLY, Options, is_bind
from pyrunc.sandbox.compile.namespaces import CLONE_FLAGS
from pyrunc.sandbox.plan import op
from pyrunc.specs.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrunc.sandbox.plan import Plan
    from pyrunc.specs.runtime import Mount, Spec

FOLDERS = ("lowerdir", "lowerdir+", "upperdir", "workdir")
MAX_LAYERS = 500  # more overlayfs does not take
HINT = "an overlay is what can stand there, with the options lowerdir+, upperdir and workdir"


def stack_root(plan: Plan, spec: Spec, bundle: str, flags: int) -> None:
    mount = spec.mounts[0]
    if mount.type != "overlay" or is_bind(mount) or mount.uid_mappings:
        raise Invalid("mounting on / would hide the root file system", mount.pointer, HINT, "config.md#mounts")
    if not flags & CLONE_FLAGS["mount"]:
        raise Invalid("a stacked root file system needs a mount namespace of its own", mount.pointer)
    found = folders(mount, bundle)
    options = Options([item for item in mount.options if item.partition("=")[0] not in FOLDERS])
    if options.set & RDONLY:
        raise Invalid("mount points have to be made in a stacked root", mount.pointer, "root.readonly, not ro")
    if options.propagation or options.id_map or options.rec_set or options.rec_clear:
        raise Invalid("options of a stacked root are those of overlayfs and flags of the mount", mount.pointer, HINT)
    data = options.data
    if spec.linux.mount_label:
        from pyrunc.sandbox.compile.labels import mount_label

        data = mount_label(spec.linux.mount_label, "overlay", data)
    layers, upper, work = found["lowerdir+"], found["upperdir"][0], found["workdir"][0]
    plan.init.append(op("stack_root", mount.pointer, options.set, layers, upper, work, data))


def folders(mount: Mount, bundle: str) -> dict[str, list[str]]:
    """The layers, the uppermost first, and the folders of what is changed, as absolute paths."""
    found: dict[str, list[str]] = {name: [] for name in FOLDERS}
    for option in mount.options:
        name, _, value = option.partition("=")
        if name in found:
            parts = value.split(":") if name == "lowerdir" else [value]
            if not all(parts):
                raise Invalid(f"the option {name} names nothing", mount.pointer, HINT)
            found["lowerdir+" if name == "lowerdir" else name] += [
                part if part[0] == "/" else f"{bundle}/{part}" for part in parts
            ]
    if not 0 < len(found["lowerdir+"]) <= MAX_LAYERS:
        raise Invalid(f"a stacked root has 1 to {MAX_LAYERS} layers", mount.pointer, HINT)
    for name in ("upperdir", "workdir"):
        if len(found[name]) != 1:
            raise Invalid(f"a stacked root has one {name}", mount.pointer, HINT)
    return found
