"""Names: from `slice:prefix:name` to a unit of systemd and the place of its cgroup. Pure."""

from __future__ import annotations

from pyrunc.specs.errors import Invalid

PATH = "linux.cgroupsPath"
SLICE, SCOPE = ".slice", ".scope"
LONGEST = 255  # systemd's limit, and that of a file's name
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"


class Unit:
    """A scope, or a slice where the document asks for one by its name. `parent` is the slice that it lies in; `path` is
    the cgroup below that of the systemd that makes it."""

    __slots__ = ("name", "parent", "path")

    def __init__(self, name: str, parent: str) -> None:
        self.name = name
        self.parent = parent
        self.path = f"{expand(parent).rstrip('/')}/{name}" if not name.endswith(SLICE) else expand(name)

    @property
    def is_slice(self) -> bool:
        return self.name.endswith(SLICE)


def unit_of(cgroups_path: str, container_id: str, rootless: bool) -> Unit:
    """The unit that linux.cgroupsPath names; without one `pyrunc-ID.scope` in the usual slice."""
    default = "user.slice" if rootless else "system.slice"
    if not cgroups_path:
        return Unit(_checked(f"pyrunc-{escaped(container_id)}{SCOPE}", container_id), default)
    parts = cgroups_path.split(":")
    if len(parts) != 3:
        raise Invalid(
            'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, '
            f'got "{cgroups_path}" instead',
            PATH,
            "leave out --systemd-cgroup for a path",
        )
    parent, prefix, name = parts
    parent = parent or default
    if parent == "-":
        parent = "-.slice"
    return Unit(_checked(name if name.endswith(SLICE) else f"{prefix}-{name}{SCOPE}", cgroups_path), parent)


def expand(slice: str) -> str:
    """The path of a slice: `a-b.slice` lies in `a.slice`, because a dash in its name means that."""
    stem = slice.removesuffix(SLICE)
    if stem == "-" and slice != stem:
        return "/"
    if stem == slice or "/" in stem or not all(stem.split("-")) or not _valid(slice):
        raise Invalid(f"invalid slice name: {slice}", PATH, "such as machine.slice or machine-pod.slice")
    path = prefix = ""
    for part in stem.split("-"):
        prefix += f"-{part}" if prefix else part
        path += f"/{prefix}{SLICE}"
    return path


def escaped(text: str) -> str:
    """A container's id as a part of a unit's name: ids may have a `+`, names of units may not."""
    return "".join([char if char in PLAIN else f"\\x{ord(char):02x}" for char in text])


def _checked(name: str, given: str) -> str:
    if not _valid(name) or name in (SLICE, f"-{SCOPE}"):
        raise Invalid(f"{given!r} makes {name!r}, which is no name of a systemd unit", PATH)
    return name


def _valid(name: str) -> bool:
    return len(name) <= LONGEST and all(char in PLAIN for char in name)
