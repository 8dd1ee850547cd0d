"""Looks over a bundle that has not been run yet: what would keep a container from starting, as far as it can be told
without doing anything. Off the hot path; must change nothing."""

from __future__ import annotations

import os

from pyrunc.specs.errors import Failure, Invalid, PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrunc.bundle import Bundle
    from pyrunc.options import CreateOptions


def rehearse(path: str, options: CreateOptions) -> list[PyruncError]:
    """Everything that is found. A document that breaks the specification is all that is said of it then."""
    from pyrunc.bundle import load_bundle, read_config
    from pyrunc.specs.explain import explain

    try:
        problems = explain(read_config(options.config or f"{path}/config.json"), "runtime-config")
        if problems:
            return [*problems]
        bundle = load_bundle(path, options.config)
    except PyruncError as error:
        return [error]
    found = [*namespaces(bundle), *sources(bundle), *hooks(bundle), *program(bundle)]
    try:
        from pyrunc.lifecycle import plan_for

        plan_for(path, "explain", options)
    except PyruncError as error:
        found.append(error)
    return found


def namespaces(bundle: Bundle) -> Iterator[PyruncError]:
    """Those that are joined by path."""
    for index, item in enumerate(bundle.spec.linux.namespaces):
        if item.path and not os.path.exists(item.path):
            hint = "the process that holds it has ended, or the path is wrong"
            yield Failure(f"join {item.path}", f"linux.namespaces[{index}].path", 2, hint=hint)


def sources(bundle: Bundle) -> Iterator[PyruncError]:
    """What binds take from the host. Those inside the root file system may be made by an earlier mount."""
    for mount in bundle.spec.mounts:
        bound = "bind" in mount.options or "rbind" in mount.options
        if bound and not f"{mount.source}/".startswith(f"{bundle.rootfs}/") and not os.path.exists(mount.source):
            yield Failure(f"bind {mount.source}", mount.pointer, 2, hint="the source does not exist")


def hooks(bundle: Bundle) -> Iterator[PyruncError]:
    """Those whose files are the host's."""
    if bundle.spec.hooks is None:
        return
    for kind in ("prestart", "create_runtime", "create_container", "poststart", "poststop"):
        name = kind.partition("_")[0] + kind.partition("_")[2].title()
        for index, hook in enumerate(getattr(bundle.spec.hooks, kind)):
            if not os.access(hook.path, os.X_OK):
                number = 13 if os.path.exists(hook.path) else 2
                yield Failure(f"run hook {hook.path}", f"hooks.{name}[{index}].path", number)


def program(bundle: Bundle) -> Iterator[PyruncError]:
    """argv[0], by PATH, inside the root file system. What a mount covers cannot be told: nothing is said of it."""
    from pyrunc.sandbox.compile.process import search_path

    process = bundle.spec.process
    if process is None or not process.args:
        return
    name = process.args[0]
    places = [name] if "/" in name else [f"{folder}/{name}" for folder in search_path(process.env).split(":")]
    places = [place if place.startswith("/") else f"{process.cwd}/{place}" for place in places]
    covered = [mount.destination.rstrip("/") + "/" for mount in bundle.spec.mounts]
    if any(place.startswith(target) for place in places for target in covered):
        return
    modes = [mode for mode in (mode_inside(bundle.rootfs, place) for place in places) if mode]
    if not modes:
        yield Invalid(f"there is no program {name} in {bundle.rootfs}", "process.args[0]", hint_for(name))
    elif not any(mode & 0o111 and mode & 0o170000 == 0o100000 for mode in modes):
        yield Invalid(f"{name} is no file that can be executed", "process.args[0]", "chmod +x")


def hint_for(name: str) -> str:
    return "the path is looked up inside the container" if "/" in name else "PATH is that of process.env"


def mode_inside(rootfs: str, path: str) -> int:
    """The mode of a file as the container would find it, links and all; 0 when there is none."""
    from pyrunc.sandbox.native._files import lib

    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = lib.path_open(root, os.fsencode(path), os.O_PATH)
        if fd < 0:
            return 0
        try:
            return os.fstat(fd).st_mode
        finally:
            os.close(fd)
    finally:
        os.close(root)
