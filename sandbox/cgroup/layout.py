"""Which cgroup hierarchies this process sees, where they are mounted and where it stands in them.

`detect` is pure over the texts of /proc/self/mountinfo and /proc/self/cgroup; `read_layout` reads them. On the hot
path: imports nothing; must not write, and must not decide what a container gets.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    Mounts = list[tuple[str, str, str, list[str]]]  # type, root, mount point, options of the super block

V2_MOUNT = "/sys/fs/cgroup"
SYSTEMD = "name=systemd"


class Hierarchy:
    """One mounted hierarchy: its controllers, its mount point, which cgroup is seen there, the folder of our own.

    `root` is `/` but where the mount shows a part of the tree only: a container without a cgroup namespace sees its own
    cgroup there, under a path that /proc/self/cgroup does not know.
    """

    __slots__ = ("controllers", "mount", "own", "root")

    def __init__(self, controllers: tuple[str, ...], mount: str, own: str = "/", root: str = "/") -> None:
        self.controllers = controllers
        self.mount = mount
        self.root = root
        self.own = self.folder(own)

    def folder(self, path: str) -> str:
        """The folder of a path from /proc/PID/cgroup; the top of the mount for one that is not in view."""
        root = self.root.rstrip("/")
        if path.startswith("/..") or not (path + "/").startswith(root + "/"):
            return self.mount
        return self.mount + path[len(root) :].rstrip("/")


class Unified(Hierarchy):
    """The cgroup2 hierarchy. `controllers` are those available at its mount point, `enabled` those already handed down
    there."""

    __slots__ = ("enabled",)

    def __init__(
        self, controllers: tuple[str, ...], mount: str, own: str = "/", root: str = "/", enabled: tuple[str, ...] = ()
    ) -> None:
        super().__init__(controllers, mount, own, root)
        self.enabled = enabled


class Layout:
    """`mode`: v1, hybrid (both, controllers mostly on v1), v2, or none. `writable`: we may make cgroups below our own
    place."""

    __slots__ = ("hierarchies", "unified", "writable")

    def __init__(
        self, hierarchies: tuple[Hierarchy, ...] = (), unified: Unified | None = None, writable: bool = True
    ) -> None:
        self.hierarchies = hierarchies
        self.unified = unified
        self.writable = writable

    @property
    def mode(self) -> str:
        if self.hierarchies:
            return "hybrid" if self.unified else "v1"
        return "v2" if self.unified else "none"

    def base(self, hierarchy: Hierarchy) -> str:
        """The folder below which a relative or absent cgroupsPath is made.

        On v2 that is our parent, as runc has it: our own cgroup holds processes, so no controller could be enabled
        in it.
        """
        if self.hierarchies or hierarchy.own == hierarchy.mount:
            return hierarchy.own
        return hierarchy.own.rpartition("/")[0]


def read_layout() -> Layout:
    """The layout of this process. Hosts with cgroup v2 alone are told by one file, without reading mountinfo, which is
    long on a host with many containers."""
    cgroup = _read("/proc/self/cgroup") or ""
    controllers = _read(f"{V2_MOUNT}/cgroup.controllers")
    if controllers is not None:
        layout = Layout((), Unified((), V2_MOUNT, _own_path(cgroup)))
        if not posix.access(f"{layout.unified.own}/cgroup.procs", posix.F_OK):  # type: ignore[union-attr]
            # We see a part of the tree only: mountinfo tells which.
            layout = Layout((), detect(_read("/proc/self/mountinfo") or "", cgroup).unified)
    else:
        layout = detect(_read("/proc/self/mountinfo") or "", cgroup)
    unified = layout.unified
    if unified is not None:
        if controllers is None:
            controllers = _read(f"{unified.mount}/cgroup.controllers") or ""
        unified.controllers = tuple(controllers.split())
        unified.enabled = tuple((_read(f"{unified.mount}/cgroup.subtree_control") or "").split())
    everywhere: list[Hierarchy] = [*layout.hierarchies]
    if unified is not None and everywhere and not posix.access(f"{unified.own}/cgroup.procs", posix.W_OK):
        # Nobody may take a process out of here, and limits are the other hierarchies' matter: runc knows only those.
        layout.unified = unified = None
    if unified is not None:
        everywhere.append(unified)
    layout.writable = bool(everywhere)
    for hierarchy in everywhere:
        layout.writable = layout.writable and posix.access(layout.base(hierarchy), posix.W_OK)
    return layout


def detect(mountinfo: str, cgroup: str) -> Layout:
    """The layout that the two texts describe. `controllers` of the cgroup2 hierarchy stand in a file of it, so they
    stay empty here. Of named hierarchies only systemd's counts; hierarchies that are not mounted do not."""
    mounts = _mounts(mountinfo)
    named: dict[str, Mounts] = {}
    for mount in mounts:
        for option in mount[3]:
            named.setdefault(option, []).append(mount)
    hierarchies = []
    for line in cgroup.split("\n"):
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if not names or (names.startswith("name=") and names != SYSTEMD):
            continue
        controllers = tuple(names.split(","))
        found = _find(named.get(controllers[0], []), path)
        if found:
            hierarchies.append(Hierarchy(controllers, found[1], path, found[0]))
    own = _own_path(cgroup)
    found = _find([m for m in mounts if m[0] == "cgroup2"], own)
    return Layout(tuple(hierarchies), Unified((), found[1], own, found[0]) if found else None)


def _mounts(mountinfo: str) -> Mounts:
    mounts = []
    for line in mountinfo.split("\n"):
        if " - cgroup" not in line:
            continue
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            fields = left.split(" ")
            names = options.split(",") if kind == "cgroup" else []
            mounts.append((kind, _unescape(fields[3]), _unescape(fields[4]), names))
    return mounts


def _find(mounts: Mounts, own: str) -> tuple[str, str] | None:
    """(root, mount point) of the first mount that shows the cgroup `own`, else of the first one."""
    for _, root, mount, _ in mounts:
        if root == "/" or own == root or own.startswith(root + "/"):
            return root, mount
    return (mounts[0][1], mounts[0][2]) if mounts else None


def _own_path(cgroup: str) -> str:
    """The path in the cgroup2 hierarchy."""
    for line in cgroup.split("\n"):
        if line.startswith("0::"):
            return line[3:]
    return "/"


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _read(path: str) -> str | None:
    """The whole file, or None when it is not there."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = []
        while part := posix.read(fd, 65536):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "surrogateescape")
    finally:
        posix.close(fd)
