"""CVE-2016-3697: a user given as a number was looked up as a name first, and the image's /etc/passwd makes `1000` a
name of uid 0. Ids of a document are numbers, and nothing of the image has a say in them."""

from __future__ import annotations

import pytest

from tests.system.box import Box

from .conftest import Bundle

PASSWD = "1000:x:0:0:root:/root:/bin/sh\n1000:1000:x:0:0::/:/bin/sh\n"
GROUP = "1000:x:0:1000\nwheel:x:0:1000\n"
WHO = "id -u; id -g; id -G"


def hostile(box: Box) -> Box:
    (box.rootfs / "etc/passwd").write_text(PASSWD)
    (box.rootfs / "etc/group").write_text(GROUP)
    return box


def test_attack_fails(bundle: Bundle) -> None:
    """The process has the ids of the document, in `run` and in `exec`, and no group of the image's."""
    box = hostile(bundle())
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.output_of(WHO).split() == ["1000", "1000", "1000"]

    box = hostile(bundle()).up()
    for user in ("1000", "1000:1000"):
        assert box.exec("sh", "-c", WHO, flags=("--user", user)).lines[0] == "1000"


@pytest.mark.parametrize("user", ["root", "alice", "1000x", "0x0", "-1", "4294967296", "00:root", " 0", "+0"])
def test_names_are_refused(bundle: Bundle, user: str) -> None:
    """What is no number is an error, never a name: nothing is looked up in the image."""
    box = hostile(bundle()).up()

    result = box.exec("id", "-u", flags=("--user", user))

    assert not result.ok and result.out == ""
