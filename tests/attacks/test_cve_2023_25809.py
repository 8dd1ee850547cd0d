"""CVE-2023-25809: /sys/fs/cgroup is writable where the container has no cgroup namespace of its own, although it
was asked for read-only."""

from __future__ import annotations

import pytest

from tests.system.box import Box

from .conftest import Bundle, Unguarded

# A cgroup that was made is removed at once. The deepest folders are first: a hierarchy, not the tmpfs that holds them.
TRY = """
for folder in /sys/fs/cgroup/*/ /sys/fs/cgroup; do
    mkdir $folder/made 2>/dev/null && echo $folder && rmdir $folder/made
done
true
"""


def attack(box: Box, own: bool) -> str:
    """Where the container's root could make a cgroup."""
    box.capabilities("CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN")
    if own:
        box.namespace("cgroup")
    return box.output_of(TRY)


@pytest.mark.parametrize("own", [False, True], ids=["host", "own"])
def test_attack_fails(bundle: Bundle, own: bool) -> None:
    """A cgroup mount that the document wants read-only is, in all its parts."""
    assert attack(bundle(), own) == ""


@pytest.mark.parametrize("own", [False, True], ids=["host", "own"])
def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded, own: bool) -> None:
    """Without the flag the container makes cgroups."""
    assert "/sys/fs/cgroup" in attack(unguarded(bundle()), own)
