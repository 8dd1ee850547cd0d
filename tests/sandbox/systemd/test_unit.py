"""Names of units and the places of their cgroups."""

from __future__ import annotations

import pytest

from pyrunc.sandbox.systemd.unit import expand, unit_of
from pyrunc.specs.errors import Invalid


@pytest.mark.parametrize(
    ("given", "rootless", "name", "path"),
    [
        ("", False, "pyrunc-box.scope", "/system.slice/pyrunc-box.scope"),
        ("", True, "pyrunc-box.scope", "/user.slice/pyrunc-box.scope"),
        ("machine.slice:docker:1", False, "docker-1.scope", "/machine.slice/docker-1.scope"),
        (":docker:1", False, "docker-1.scope", "/system.slice/docker-1.scope"),
        (":docker:1", True, "docker-1.scope", "/user.slice/docker-1.scope"),
        ("-:docker:1", False, "docker-1.scope", "/docker-1.scope"),
        ("-.slice:docker:1", False, "docker-1.scope", "/docker-1.scope"),
        ("a-b.slice:p:n", False, "p-n.scope", "/a.slice/a-b.slice/p-n.scope"),
        ("a.slice:p:a-pod.slice", False, "a-pod.slice", "/a.slice/a-pod.slice"),
    ],
)
def test_names(given: str, rootless: bool, name: str, path: str) -> None:
    """slice:prefix:name is a scope prefix-name in that slice, a name that ends in .slice is itself; a dash nests."""
    unit = unit_of(given, "box", rootless)

    assert (unit.name, unit.path) == (name, path)
    assert unit.is_slice == name.endswith(".slice")


def test_id_with_a_plus() -> None:
    """An id that a unit's name cannot hold as it is makes a name all the same."""
    assert unit_of("", "a+b", False).name == "pyrunc-a\\x2bb.scope"


@pytest.mark.parametrize(
    "bad",
    ["/machine/box", "a:b", "a:b:c:d", "a.slice/b.slice:p:n", "box:p:n", ".slice:p:n", "a--b.slice:p:n", "-a.slice:p:n",
     "a.slice:p/q:n", "a.slice:p:n\n", "a.slice:p:" + "n" * 300, "a.slice::.slice"],
)  # fmt: skip
def test_bad_names(bad: str) -> None:
    """What is no unit's name is refused before anything is done."""
    with pytest.raises(Invalid):
        unit_of(bad, "box", False)


def test_root_slice() -> None:
    """The root slice is the top itself."""
    assert expand("-.slice") == "/"
