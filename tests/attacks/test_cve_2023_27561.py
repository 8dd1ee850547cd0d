"""CVE-2023-27561: in the image /proc is a symbolic link, so procfs and what protects it land elsewhere
(CVE-2019-19921 again)."""

from __future__ import annotations

import pytest

from tests.system.box import Box
from tests.system.runtime import Result

from .conftest import Bundle, Unguarded

LINKS = ["/tmp/elsewhere", "tmp/elsewhere", "/missing", "../../../../tmp/elsewhere"]


def attack(box: Box, link: str) -> Result:
    """The container shows whether its procfs is where the link leads."""
    (box.rootfs / "tmp/elsewhere").mkdir()
    (box.rootfs / "proc").rmdir()
    (box.rootfs / "proc").symlink_to(link)
    return box.sh("readlink /proc && mount").run()


@pytest.mark.parametrize("link", LINKS)
def test_attack_fails(bundle: Bundle, link: str) -> None:
    """It is an error, in the words that every runtime has for it."""
    result = attack(bundle(), link)

    assert not result.ok
    assert "must be mounted on ordinary directory" in result.err
    assert "mounts[0]" in result.err


@pytest.mark.parametrize("link", LINKS)
def test_guard_is_what_stops_it(bundle: Bundle, unguarded: Unguarded, link: str) -> None:
    """Followed, the link decides where procfs is."""
    result = attack(unguarded(bundle()), link)

    assert result.ok, result
    assert result.lines[0] == link
