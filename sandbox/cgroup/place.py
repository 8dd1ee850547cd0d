"""Where `exec` goes: the container's cgroups, or those that its init has moved to, or others below. Hot path of exec;
reads only."""

from __future__ import annotations

import posix

from pyrunc.sandbox.cgroup.steps import read
from pyrunc.specs.errors import PyruncError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrunc.sandbox.cgroup.layout import Layout


def exec_folders(pid: int, layout: Layout, recorded: Sequence[str], own: bool) -> tuple[str, list[str]]:
    """(cgroup2 folder or "", cgroup v1 folders) for a further process of the container whose init is `pid`.

    The recorded ones, wherever init has moved itself since, as in runc. But a cgroup2 folder that hands controllers
    down takes no process: then init's, unless `own` says that no other will do.
    """
    into, enter = current_folders(pid, layout)
    if layout.unified is not None and into not in recorded:
        first = _recorded(recorded, layout.unified.mount)
        if first and (own or not (read(f"{first}/cgroup.subtree_control") or "").strip()):
            into = first
    for index, folder in enumerate(enter):
        if folder not in recorded:
            mount = next(item.mount for item in layout.hierarchies if f"{folder}/".startswith(f"{item.mount}/"))
            first = _recorded(recorded, mount)
            enter[index] = first if posix.access(f"{first}/cgroup.procs", posix.F_OK) else folder
    return into, enter


def _recorded(folders: Sequence[str], mount: str) -> str:
    """The one that lies in this hierarchy, or ""."""
    return next((folder for folder in folders if folder.startswith(f"{mount}/")), "")


def current_folders(pid: int, layout: Layout) -> tuple[str, list[str]]:
    """(cgroup2 folder or "", cgroup v1 folders) of process `pid`."""
    text = read(f"/proc/{pid}/cgroup")
    if text is None:
        raise PyruncError("container not running")
    into = ""
    enter = []
    for line in text.split("\n"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if not names:
            into = layout.unified.folder(path) if layout.unified is not None else ""
            continue
        for hierarchy in layout.hierarchies:
            if hierarchy.controllers == tuple(names.split(",")):
                enter.append(hierarchy.folder(path))
    return into, enter


def sub_folders(into: str, enter: list[str], paths: list[str], layout: Layout) -> tuple[str, list[str]]:
    """Those folders, but below them as `exec --cgroup` asks: one PATH for all, or CONTROLLER[,CONTROLLER]:PATH on v1.
    Texts are runc's."""
    chosen: dict[str, str] = {}
    for item in paths:
        controllers, colon, path = item.partition(":")
        if not colon:
            if len(paths) != 1:
                raise PyruncError(f"invalid --cgroup argument: {item} (missing <controller>: prefix)")
            return below(into, item) if into else "", [below(folder, item) for folder in enter]
        for controller in controllers.split(","):
            if not controller:
                raise PyruncError(f"invalid --cgroup argument (empty <controller> prefix): {item}")
            if controller in chosen:
                raise PyruncError(f"invalid --cgroup argument(s): controller {controller} specified multiple times")
            chosen[controller] = path
    moved = list(enter)
    for controller, path in chosen.items():
        hierarchy = next((item for item in layout.hierarchies if controller in item.controllers), None)
        if hierarchy is None:
            raise PyruncError(f"unknown controller {controller} in SubCgroupPaths")
        for index, folder in enumerate(enter):
            if folder == hierarchy.mount or folder.startswith(hierarchy.mount + "/"):
                moved[index] = below(folder, path)
    return into, moved


def below(folder: str, path: str) -> str:
    """`path` below the folder; it has to exist, and `..` must not be in it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise PyruncError(f"bad sub cgroup path: {path}", hint="it has to stay below the container's cgroup")
    whole = "/".join([folder, *parts])
    if not posix.access(f"{whole}/cgroup.procs", posix.F_OK):
        raise PyruncError(  # runc's words for it
            f"error adding pid of the process to cgroups: open {whole}/cgroup.procs: no such file or directory",
            hint=f"make the cgroup {path} in the container before",
        )
    return whole
